// Package layer builds the layer of an env: from requirements to the zip of
// python/… that Lambda lays under /opt.
//
//	requirements → install (uv, else pip; wheels only) → compile → pack → keep
//
// What must hold:
//
//   - Equal requirements and equal wheels make equal bytes, whichever installer
//     unpacked them, on whichever worker: names sorted, times at 1980-01-01,
//     two modes; bytecode with unchecked hashes and the paths of /opt/python;
//     what tells of the installer left out (INSTALLER, REQUESTED,
//     direct_url.json), RECORD written anew, the starters in bin/ too. *.dist-info
//     stays: packages look themselves up in it.
//   - No code of a package runs in a build. Wheels only: a source distribution
//     runs its author's setup when it is built, so it is refused, as NoWheel.
//   - Wheels are those of the runtime's Python and C library, not of the
//     worker's. uv resolves for any Python from any other; pip judges markers by
//     the Python that runs it, so only the runtime's own is used.
//   - A layer takes no module's place that Python itself has. /opt/python comes
//     before the standard library, site-packages after it; what would shadow it
//     is left out, or is the author's to remove. See withoutShadows.
//   - An env does not depend on the machine. Of its settings the installer gets
//     what it needs to reach the package index (addresses, certificates,
//     proxies, credentials) and nothing else; see indexSettings.
//   - Whoever can mend a failure is told what to do, in a *run.Error.
//   - The log, 64 KB at most, names no index and nothing that unlocks one.
//
// # Walls between builds
//
// The installer and the compiler run in a sandbox (see pkg/sandbox) that sees
// the system, the installer, an interpreter and its own workshop: a folder that
// is made for the build and removed after it. It can write nothing else, and
// read nothing of the worker's, of other builds or of the kept layers. So a
// wheel that breaks its unpacker harms its own build alone.
//
// For the same reason each build has a download cache of its own, inside its
// workshop. A shared one would save downloads for envs that have packages in
// common, but installers take what lies in their cache for whole and unharmed:
// one broken unpacker could then put its files into every later tenant's layer.
// An env is built once for the whole fleet and kept, so there is little to
// save. Where all tenants are one person, Config.Downloads shares one.
//
// Layers are kept by the worker's own process, outside the sandbox.
//
// # Bytecode
//
// /opt is read-only in a function: without bytecode each cold start would
// compile everything again. It is made by an interpreter of the runtime's own
// version; where the worker has none, the layer goes without, and its log says
// so. Before Python 3.12, what is written depends on what the same process
// compiled before, so one process compiles all in one order; from 3.12 on the
// files are dealt out to a few. Where bytecode would put the layer over the
// limit, it is left out.
//
// # Keeping
//
// Layers are kept in a folder by their env's hash, so that a developer's second
// run of a script is quick, and a worker that has to publish again need not
// build. Any number of processes may share the folder; see cache.
//
// # Stopping early
//
// A build is stopped when its time is up, when its context ends, when the
// announced downloads alone are over the limit, or when its workshop takes
// three times the limit: packed, unpacked and installed is what a layer that
// fits can take. pip's search for versions that fit together, which uv does
// without downloads, is stopped after two minutes or 2 GiB; see sizes.
package layer
