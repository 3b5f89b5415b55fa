package function

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// clues are facts from the handler about a script's error; hint chooses by
// them.
type clues struct {
	File    string `json:"file"`    // the file that raised it, or that does not compile
	Shadows bool   `json:"shadows"` // File replaces a module of Python's own
	Module  string `json:"module"`  // the module that was not found
	Loaded  bool   `json:"loaded"`  // the first part of Module (a of a.b) was found
	Errno   int    `json:"errno"`
	Path    string `json:"path"`  // of the file that an OSError is about
	Minor   string `json:"minor"` // minor version of the running Python, such as 3.13, where it may matter
	First   string `json:"first"` // the first error of an exception group
}

// hint returns a sentence, after a space, that tells the author how to mend the
// error, or "" where none is known. The first hint that applies is used.
func hint(e scriptError) string {
	for _, h := range []func(scriptError) string{
		ofShadow, ofSharedMemory, ofSyntax, ofModule, ofAttribute, ofFile, ofWords,
	} {
		if text := h(e); text != "" {
			return " " + text
		}
	}
	return ""
}

// top is the top-level module of a file, such as asyncio for
// asyncio/base_events.py.
func top(file string) string {
	first, _, _ := strings.Cut(file, "/")
	return strings.TrimSuffix(first, ".py")
}

func ofShadow(e scriptError) string {
	if !e.Shadows {
		return ""
	}
	return fmt.Sprintf("%s is part of Python, and a requirement takes its place: remove that from the requirements.", top(e.File))
}

func ofSyntax(e scriptError) string {
	if e.Minor == "" || e.Module != "" || !strings.HasSuffix(e.File, ".py") || e.File == pythonFile || !strings.Contains(e.Message, path.Base(e.File)+", line ") {
		return ""
	}
	return fmt.Sprintf("%s is not written for Python %s: take a newer version of it.", top(e.File), e.Minor)
}

func ofSharedMemory(e scriptError) string {
	for _, file := range []string{"multiprocessing/synchronize.py", "multiprocessing/shared_memory.py", "multiprocessing/heap.py"} {
		if e.File == file {
			return "There is no shared memory on Lambda, so that multiprocessing has no Pool, ThreadPool, Queue or Lock there: " +
				"use concurrent.futures.ThreadPoolExecutor, or Process with Pipe."
		}
	}
	return ""
}

func ofModule(e scriptError) string {
	if e.Module == "" {
		return ""
	}
	name, _, _ := strings.Cut(e.Module, ".")
	switch gone, added := goneModules[name], newModules[e.Module]; {
	case gone.use != "" && !older(e.Minor, gone.since):
		return fmt.Sprintf("%s is not part of Python since %s: %s.", name, gone.since, gone.use)
	case added != "" && older(e.Minor, added):
		return fmt.Sprintf("%s is part of Python since %s, and the runtime's is %s: choose a newer runtime.", e.Module, added, e.Minor)
	case e.Loaded && name != e.Module:
		return fmt.Sprintf("%s is there, but this version of it has no such module: check the name, or take another version.", name)
	case name == "boto3" || name == "botocore": // Lambda's own Pythons have both
		return "It is there on Lambda; this stack, which runs scripts itself, could not fetch it from the package index, as its log says. " +
			"Run the script again once the index can be reached, or add boto3 to the requirements."
	case packages[name] != "":
		return fmt.Sprintf("Add %s, which provides it, to the requirements.", packages[name])
	}
	return "Add the package that provides it to the requirements."
}

var (
	missingAttribute = regexp.MustCompile(`^module '([\w.]+)' has no attribute '(\w+)'`)
	missingName      = regexp.MustCompile(`^cannot import name '(\w+)' from '([\w.]+)'`)
)

func ofAttribute(e scriptError) string {
	name := ""
	if m := missingAttribute.FindStringSubmatch(e.Message); m != nil {
		name = m[1] + "." + m[2]
	} else if m := missingName.FindStringSubmatch(e.Message); m != nil {
		name = m[2] + "." + m[1]
	}
	gone, ok := goneNames[name]
	if !ok && strings.HasPrefix(name, "collections.") && abstract[strings.TrimPrefix(name, "collections.")] {
		gone, ok = change{"3.10", "use collections.abc." + strings.TrimPrefix(name, "collections.")}, true
	}
	switch added := newNames[name]; {
	case ok && !older(e.Minor, gone.since):
		return fmt.Sprintf("%s is not part of Python since %s: %s.", name, gone.since, gone.use)
	case added != "" && older(e.Minor, added):
		return fmt.Sprintf("%s is part of Python since %s, and the runtime's is %s: choose a newer runtime.", name, added, e.Minor)
	}
	return ""
}

func ofFile(e scriptError) string {
	const enoent, eacces, emfile, enospc, erofs, enosys = 2, 13, 24, 28, 30, 38
	below := path.Join("/tmp", path.Base(e.Path))
	switch {
	case e.Errno == erofs && e.Path != "", e.Errno == eacces && isTheFunctions(e.Path):
		return fmt.Sprintf("A script can write below /tmp alone: write to %s.", below)
	case e.Errno == erofs:
		return "A script can write below /tmp alone."
	case e.Errno == enospc:
		return "/tmp is full, and what earlier runs left there counts too: remove files once they are not needed."
	case e.Errno == emfile:
		return "Close files and connections, those of earlier runs too: a function has 1,024 at most."
	case e.Errno == enosys:
		return "Lambda does not offer that to a function: for shared memory use threads, or Process with Pipe."
	case e.Errno == enoent && e.File == "subprocess.py" && !strings.HasPrefix(e.Path, "/"):
		return fmt.Sprintf("The runtime has no program %s: do it in Python, or bring it with a requirement.", excerpt(e.Path))
	}
	return ""
}

// isTheFunctions tells whether a file is in the function's own folder, which is
// read-only. A relative path is, because the script's working folder is there.
func isTheFunctions(file string) bool {
	return file != "" && (!strings.HasPrefix(file, "/") || strings.HasPrefix(file, "/var/task/") || strings.HasPrefix(file, "/opt/"))
}

// ofWords returns a hint by the text of the message.
func ofWords(e scriptError) string {
	for begins, text := range map[string]string{
		"There is no current event loop":                "Make main a coroutine (async def main), or call asyncio.run.",
		"asyncio.run() cannot be called from a running": "main is awaited as it is: await the coroutine instead of calling asyncio.run.",
		"Unable to locate credentials":                  `Give the action a credential, and hand what is in input["AwsCredentials"] to boto3.`,
		"can't start new thread":                        "A function has 1,024 threads and processes at most, those of earlier runs too: end them before main returns.",
	} {
		if strings.HasPrefix(e.Message, begins) {
			return text
		}
	}
	return ""
}

// older tells whether version a.b is below than. An unknown version is not
// older.
func older(version, than string) bool {
	var a, b [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &a[0], &a[1]); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(than, "%d.%d", &b[0], &b[1]); err != nil {
		return false
	}
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}
