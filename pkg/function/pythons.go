package function

// change is a removed module or name of Python: the version that removed it,
// and its replacement.
type change struct{ since, use string }

// goneModules are modules that Python has removed.
var goneModules = map[string]change{
	"distutils": {"3.12", "instead of strtobool compare the text, instead of find_executable use shutil.which, instead of LooseVersion the package packaging; " +
		"for all else add setuptools to the requirements"},
	"imp": {"3.12", "use importlib"}, "asyncore": {"3.12", "use asyncio"}, "asynchat": {"3.12", "use asyncio"}, "smtpd": {"3.12", "add aiosmtpd to the requirements"},

	"cgi": {"3.13", "use urllib.parse and email.message, or add legacy-cgi to the requirements"}, "cgitb": {"3.13", "use traceback, or add legacy-cgi to the requirements"},
	"crypt": {"3.13", "add bcrypt or passlib to the requirements"}, "telnetlib": {"3.13", "add telnetlib3 to the requirements"},
	"nntplib": {"3.13", "add standard-nntplib to the requirements"}, "pipes": {"3.13", "use subprocess, and shlex.quote for quote"},
	"imghdr": {"3.13", "add filetype to the requirements"}, "sndhdr": {"3.13", "add filetype to the requirements"}, "audioop": {"3.13", "add audioop-lts to the requirements"},
	"aifc": {"3.13", "add standard-aifc to the requirements"}, "sunau": {"3.13", "add standard-sunau to the requirements"}, "chunk": {"3.13", "add standard-chunk to the requirements"},
	"mailcap": {"3.13", "use mimetypes"}, "uu": {"3.13", "use base64 or binascii"}, "xdrlib": {"3.13", "use struct, or add standard-xdrlib to the requirements"},
	"spwd": {"3.13", "a function has no users with passwords"}, "nis": {"3.13", "a function has no NIS"}, "ossaudiodev": {"3.13", "a function has no sound"},
	"msilib": {"3.13", "it is for Windows alone"}, "lib2to3": {"3.13", "add libcst to the requirements"},
	"binhex": {"3.11", "use binascii"}, "formatter": {"3.10", "write it out"}, "parser": {"3.10", "use ast"}, "symbol": {"3.10", "use ast"},
	"dummy_threading": {"3.9", "use threading"}, "_dummy_thread": {"3.9", "use _thread"}, "macpath": {"3.8", "use os.path"},

	"urllib2": {"3.0", "use urllib.request"}, "urlparse": {"3.0", "use urllib.parse"}, "httplib": {"3.0", "use http.client"},
	"ConfigParser": {"3.0", "use configparser"}, "StringIO": {"3.0", "use io.StringIO"}, "cStringIO": {"3.0", "use io.BytesIO"}, "cPickle": {"3.0", "use pickle"},
	"Queue": {"3.0", "use queue"}, "HTMLParser": {"3.0", "use html.parser"}, "Cookie": {"3.0", "use http.cookies"}, "cookielib": {"3.0", "use http.cookiejar"},
	"commands": {"3.0", "use subprocess"}, "__builtin__": {"3.0", "use builtins"}, "thread": {"3.0", "use threading"}, "xmlrpclib": {"3.0", "use xmlrpc.client"},
	"md5": {"3.0", "use hashlib"}, "sha": {"3.0", "use hashlib"}, "sets": {"3.0", "use set"}, "SocketServer": {"3.0", "use socketserver"},
}

// newModules maps a module to the Python version that added it.
var newModules = map[string]string{
	"zoneinfo": "3.9", "graphlib": "3.9", "tomllib": "3.11", "wsgiref.types": "3.11",
	"annotationlib": "3.14", "compression": "3.14", "compression.zstd": "3.14", "string.templatelib": "3.14", "concurrent.interpreters": "3.14",
}

// goneNames are names that Python's modules have removed.
var goneNames = map[string]change{
	"asyncio.coroutine": {"3.11", "write async def"}, "asyncio.async": {"3.7", "use asyncio.ensure_future"}, "asyncio.get_child_watcher": {"3.14", "leave it out"},
	"base64.encodestring": {"3.9", "use base64.encodebytes"}, "base64.decodestring": {"3.9", "use base64.decodebytes"},
	"cgi.escape": {"3.8", "use html.escape"}, "cgi.parse_qs": {"3.8", "use urllib.parse.parse_qs"}, "configparser.SafeConfigParser": {"3.12", "use configparser.ConfigParser"},
	"fractions.gcd": {"3.9", "use math.gcd"}, "gettext.lgettext": {"3.11", "use gettext.gettext"}, "html.parser.HTMLParseError": {"3.5", "leave it out"},
	"inspect.getargspec": {"3.11", "use inspect.getfullargspec"}, "inspect.formatargspec": {"3.11", "use inspect.signature"},
	"importlib.find_loader": {"3.12", "use importlib.util.find_spec"}, "locale.format": {"3.12", "use locale.format_string"}, "os.errno": {"3.7", "import errno"},
	"pkgutil.ImpImporter": {"3.12", "take a newer version of setuptools or of the package that uses it"}, "pkgutil.find_loader": {"3.14", "use importlib.util.find_spec"},
	"platform.linux_distribution": {"3.8", "add distro to the requirements"}, "platform.dist": {"3.8", "add distro to the requirements"},
	"random.jumpahead": {"3.0", "leave it out"}, "re.template": {"3.13", "use re.compile"}, "sqlite3.OptimizedUnicode": {"3.12", "use str"},
	"ssl.wrap_socket": {"3.12", "use ssl.SSLContext.wrap_socket"}, "ssl.match_hostname": {"3.12", "leave it to ssl.SSLContext"}, "ssl.PROTOCOL_SSLv3": {"3.10", "use ssl.PROTOCOL_TLS_CLIENT"},
	"string.letters": {"3.0", "use string.ascii_letters"}, "string.maketrans": {"3.0", "use str.maketrans"}, "sys.maxint": {"3.0", "use sys.maxsize"}, "sys.setdefaultencoding": {"3.0", "leave it out"},
	"sys.setcheckinterval": {"3.9", "use sys.setswitchinterval"}, "time.clock": {"3.8", "use time.perf_counter"}, "typing.io": {"3.13", "import it from typing"},
	"types.ClassType": {"3.0", "use type"}, "types.StringTypes": {"3.0", "use str"}, "types.StringType": {"3.0", "use str"}, "urllib.quote": {"3.0", "use urllib.parse.quote"},
	"urllib.urlencode": {"3.0", "use urllib.parse.urlencode"}, "urllib.urlopen": {"3.0", "use urllib.request.urlopen"}, "urllib.unquote": {"3.0", "use urllib.parse.unquote"},
	"unittest.makeSuite": {"3.13", "use unittest.TestLoader"}, "webbrowser.MacOSX": {"3.13", "leave it out"}, "xml.etree.cElementTree": {"3.9", "use xml.etree.ElementTree"},
	"ast.Str": {"3.14", "use ast.Constant"}, "ast.Num": {"3.14", "use ast.Constant"}, "ast.NameConstant": {"3.14", "use ast.Constant"},
	"collections.OrderedDict.iteritems": {"3.0", "use items"}, "itertools.izip": {"3.0", "use zip"}, "itertools.imap": {"3.0", "use map"}, "itertools.ifilter": {"3.0", "use filter"},
}

// newNames maps a name in one of Python's modules to the version that added it.
var newNames = map[string]string{
	"datetime.UTC": "3.11", "typing.Self": "3.11", "typing.Never": "3.11", "typing.LiteralString": "3.11", "typing.override": "3.12", "typing.TypeAliasType": "3.12",
	"typing.TypeAlias": "3.10", "typing.ParamSpec": "3.10", "typing.Annotated": "3.9", "enum.StrEnum": "3.11", "asyncio.TaskGroup": "3.11", "asyncio.timeout": "3.11", "asyncio.Runner": "3.11",
	"asyncio.to_thread": "3.9", "itertools.pairwise": "3.10", "itertools.batched": "3.12", "functools.cache": "3.9", "math.lcm": "3.9", "math.cbrt": "3.11", "warnings.deprecated": "3.13",
	"copy.replace": "3.13", "hashlib.file_digest": "3.11", "contextlib.chdir": "3.11", "contextlib.aclosing": "3.10", "types.UnionType": "3.10", "types.NoneType": "3.10", "random.randbytes": "3.9",
}

// abstract are the classes that moved to collections.abc; collections lost them
// in 3.10.
var abstract = map[string]bool{
	"Awaitable": true, "AsyncIterable": true, "AsyncIterator": true, "Callable": true, "Container": true, "Coroutine": true, "Generator": true,
	"Hashable": true, "ItemsView": true, "Iterable": true, "Iterator": true, "KeysView": true, "Mapping": true, "MappingView": true, "MutableMapping": true,
	"MutableSequence": true, "MutableSet": true, "Reversible": true, "Sequence": true, "Set": true, "Sized": true, "ValuesView": true, "ByteString": true, "Collection": true,
}

// packages maps a module to the requirement that provides it, where the two
// names differ.
var packages = map[string]string{
	"attr": "attrs", "bs4": "beautifulsoup4", "Crypto": "pycryptodome", "Cryptodome": "pycryptodomex", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
	"dns": "dnspython", "docx": "python-docx", "dotenv": "python-dotenv", "fitz": "PyMuPDF", "git": "GitPython", "github": "PyGithub", "gitlab": "python-gitlab",
	"jose": "python-jose", "jwt": "PyJWT", "kafka": "kafka-python", "ldap": "ldap3", "magic": "python-magic", "markdown": "Markdown", "MySQLdb": "PyMySQL", "nacl": "PyNaCl",
	"OpenSSL": "pyOpenSSL", "PIL": "Pillow", "pkg_resources": "setuptools", "pptx": "python-pptx", "psycopg2": "psycopg2-binary", "pythonjsonlogger": "python-json-logger",
	"serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "slack": "slack_sdk", "slugify": "python-slugify",
	"snowflake": "snowflake-connector-python", "socks": "PySocks", "telegram": "python-telegram-bot", "usb": "pyusb", "websocket": "websocket-client", "whois": "python-whois",
	"yaml": "PyYAML", "zmq": "pyzmq",
}
