package layer

import "strings"

// standard are the modules of every Python from 3.8 on, on Lambda.
var standard = wordSet(`abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2 calendar cmath
	cmd code codecs codeop collections colorsys compileall concurrent configparser contextlib contextvars copy copyreg
	csv ctypes dataclasses datetime dbm decimal difflib dis doctest email encodings ensurepip enum errno
	faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob
	grp gzip hashlib heapq hmac html http imaplib importlib inspect io ipaddress itertools json keyword linecache locale
	logging lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing netrc ntpath numbers opcode operator
	optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty
	pwd py_compile pyclbr pydoc pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets
	select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 ssl stat statistics string
	stringprep struct subprocess symtable sys sysconfig syslog tabnanny tarfile tempfile termios textwrap this threading
	time timeit token tokenize trace traceback tracemalloc tty types typing unicodedata unittest urllib uuid venv warnings
	wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zlib`)

// since maps a later module to the minor version that added it.
var since = map[string]int{"graphlib": 9, "zoneinfo": 9, "tomllib": 11, "annotationlib": 14, "compression": 14}

// until maps a removed module to the first minor version without it.
var until = map[string]int{
	"formatter": 10, "parser": 10, "symbol": 10, "binhex": 11,
	"asynchat": 12, "asyncore": 12, "distutils": 12, "imp": 12, "smtpd": 12,
	"aifc": 13, "audioop": 13, "cgi": 13, "cgitb": 13, "chunk": 13, "crypt": 13, "imghdr": 13, "mailcap": 13, "nis": 13,
	"nntplib": 13, "ossaudiodev": 13, "pipes": 13, "sndhdr": 13, "spwd": 13, "sunau": 13, "telnetlib": 13, "uu": 13, "xdrlib": 13,
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// inStandardLibrary tells whether a version of Python, such as 3.13, has the
// module.
func inStandardLibrary(module, minor string) bool {
	n := minorNumber(minor)
	if first, ok := since[module]; ok {
		return n >= first
	}
	if gone, ok := until[module]; ok {
		return n < gone
	}
	return standard[module]
}

// successors are packages with removed modules. A module removed by 3.13 that
// is not listed has a package named standard-<module>, or none.
var successors = map[string]string{
	"asynchat": "pyasynchat", "asyncore": "pyasyncore", "audioop": "audioop-lts", "cgi": "legacy-cgi", "cgitb": "legacy-cgi",
	"distutils": "", "imp": "", "nis": "", "ossaudiodev": "", "spwd": "",
}

// leftPython tells whether a version of Python has removed the module, and
// which package now provides it ("" for none).
func leftPython(module, minor string) (successor string, left bool) {
	gone, ok := until[module]
	if !ok || minorNumber(minor) < gone {
		return "", false
	}
	successor, ok = successors[module]
	if !ok && gone == 13 {
		successor = "standard-" + module
	}
	return successor, true
}
