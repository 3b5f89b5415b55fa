// Package layer builds the layer of an env: it turns requirements into the zip
// that Lambda unpacks below /opt, with all files in python/.
//
//	requirements → install (uv, else pip; wheels only) → compile → pack → keep
//
// What must hold:
//
//   - Equal requirements and equal wheels make equal bytes, with either installer
//     and on any worker. So names are sorted, times are 1980-01-01, there are two
//     file modes, and bytecode has unchecked hashes and paths below /opt/python.
//     Files that describe the installer are left out (INSTALLER, REQUESTED,
//     direct_url.json); RECORD and the starters in bin/ are rewritten.
//     *.dist-info stays, because packages read their own metadata.
//   - No code of a package runs in a build. Only wheels are installed: building a
//     source distribution runs its author's setup, so it is refused as NoWheel.
//     Where the operator allows it (Config.SourceBuilds), it runs in a sandbox of
//     its own, without network and secrets; see source.go.
//   - Wheels are chosen for the runtime's Python and C library, not the worker's.
//     uv resolves for any version of Python. pip evaluates markers by the Python
//     that runs it, so only the pip of the runtime's own version is used.
//   - No module of a layer replaces one of Python's own. /opt/python precedes the
//     standard library on a function's path; site-packages follows it elsewhere.
//     A module that would replace one is left out, or the author has to remove
//     its requirement. See withoutShadows.
//   - An env does not depend on the machine that builds it. The installer gets
//     only the settings that it needs to reach the package index (addresses,
//     certificates, proxies, credentials); see indexSettings.
//   - A failure is a *run.Error that tells its owner what to do.
//   - The log, 64 KB at most, contains no index's address and no credentials.
//
// # Walls between builds
//
// The installer and the compiler run in a sandbox (see pkg/sandbox). It
// contains the system, the installer, an interpreter and the build's workshop:
// a folder made for the build and removed after it. A build can write only
// there, and can read no files of the worker, of other builds or of the kept
// layers. So a wheel that exploits its installer harms only its own build.
//
// For the same reason each build has its own download cache, in its workshop. A
// shared cache would save downloads for envs that have packages in common, but
// installers trust the files in their cache: one exploited installer could put
// files into the layers of other tenants. An env is built once for the whole
// fleet and then kept, so a shared cache would save little. Where all tenants
// are one person, Config.Downloads sets a shared cache.
//
// Before it installs, uv asks the interpreter about itself, which takes as long as
// a small install. A sandbox without network, in which uv has seen nothing of any
// tenant, asks once for each interpreter; each build starts with a copy of the
// answers in its own cache. No build can change another's copy.
//
// The worker's own process keeps the layers, outside the sandbox.
//
// # Bytecode
//
// /opt is read-only in a function, so without bytecode each cold start would
// compile all modules again; compile.py makes it. An interpreter of the runtime's version makes the
// bytecode; on a worker without one the layer has none, and its log tells so.
// Before Python 3.12 bytecode depends on what the same process compiled before,
// so one process compiles all files in one order; from 3.12 on several
// processes share the files. Bytecode that would put the layer over its size
// limit is left out.
//
// # Keeping
//
// Layers are kept in a folder by their env's hash: a developer's second run of
// a script is quick, and a worker that publishes a layer again need not build
// it. Any number of processes may share the folder; see cache.
//
// # Stopping early
//
// A build is stopped when its timeout expires, when its context ends, when the
// announced downloads alone exceed the size limit, or when its workshop exceeds
// three times that limit (packed, unpacked and installed copies of a layer that
// fits). pip searches for versions that fit together by downloading them; uv
// does it without downloads. pip's search is stopped after two minutes or 2
// GiB; see sizes.
package layer
