package layer

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// indexSettings are the settings of this machine that the installer needs to
// reach the package index. Settings that could change an env's files without
// changing its hash are left out (local wheel folders, constraints,
// pre-releases, PYTHONPATH, configuration files). Credentials in addresses are
// passed in the installer's environment, because other users of this machine
// can read its command line.
type indexSettings struct {
	env map[string]string
}

// passed are the variables that are passed unchanged: certificates, proxies,
// timeouts, and the credentials that uv looks up by the index's name.
var passed = []string{
	"SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "PIP_RETRIES",
	"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_HTTP_CONNECT_TIMEOUT",
	"NETRC",
}

// fromPipConf maps keys of pip's configuration files to the variables that they
// stand for. The installer itself does not read the files.
var fromPipConf = map[string]string{
	"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST",
	"cert": "PIP_CERT", "client-cert": "PIP_CLIENT_CERT", "proxy": "PIP_PROXY", "timeout": "PIP_TIMEOUT", "retries": "PIP_RETRIES",
}

func machineIndex(environ []string) indexSettings {
	s := indexSettings{env: map[string]string{}}
	home := ""
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		if v == "" {
			continue
		}
		if slices.Contains(passed, k) || isIndexCredential(k) {
			s.env[k] = v
		}
		if k == "HOME" {
			home = v
		}
	}
	s.readPipConf("/etc/pip.conf")
	if home != "" {
		s.readPipConf(filepath.Join(home, ".config", "pip", "pip.conf"))
		s.readPipConf(filepath.Join(home, ".pip", "pip.conf"))
		if netrc := filepath.Join(home, ".netrc"); s.env["NETRC"] == "" && isFile(netrc) {
			s.env["NETRC"] = netrc
		}
	}
	s.lend()
	return s
}

// isIndexCredential matches UV_INDEX_<NAME>_USERNAME and
// UV_INDEX_<NAME>_PASSWORD.
func isIndexCredential(k string) bool {
	return strings.HasPrefix(k, "UV_INDEX_") && (strings.HasSuffix(k, "_USERNAME") || strings.HasSuffix(k, "_PASSWORD"))
}

func isFile(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular()
}

// readPipConf adds the settings of a configuration file that the environment
// lacks. A missing file has none.
func (s indexSettings) readPipConf(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	section := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[] ")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "global" && section != "install" {
			continue
		}
		name, known := fromPipConf[strings.ReplaceAll(strings.TrimSpace(key), "_", "-")]
		if known && s.env[name] == "" && strings.TrimSpace(value) != "" {
			s.env[name] = strings.TrimSpace(value)
		}
	}
}

// lend copies each installer's settings to the other, so a machine that is
// configured for one works with both.
func (s indexSettings) lend() {
	fill := func(to string, from ...string) {
		for _, name := range from {
			if s.env[to] == "" && s.env[name] != "" {
				s.env[to] = indexName.ReplaceAllString(s.env[name], "")
			}
		}
	}
	if s.env["UV_INDEX_URL"] == "" {
		fill("UV_DEFAULT_INDEX", "PIP_INDEX_URL")
	}
	if s.env["UV_EXTRA_INDEX_URL"] == "" {
		fill("UV_INDEX", "PIP_EXTRA_INDEX_URL")
	}
	fill("UV_INSECURE_HOST", "PIP_TRUSTED_HOST")
	fill("SSL_CERT_FILE", "PIP_CERT")
	fill("ALL_PROXY", "PIP_PROXY")
	fill("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
	fill("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
	fill("PIP_CERT", "SSL_CERT_FILE")
}

// indexName matches the name that uv allows before an index's address.
var indexName = regexp.MustCompile(`^[\w.-]+=`)

// only returns the settings with one index and no other.
func (s indexSettings) only(url string) indexSettings {
	one := indexSettings{env: map[string]string{"UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url}}
	for k, v := range s.env {
		if _, set := one.env[k]; !set && !strings.Contains(k, "INDEX_URL") && k != "UV_INDEX" {
			one.env[k] = v
		}
	}
	return one
}

// urls are the addresses of the indexes.
func (s indexSettings) urls() []string {
	var urls []string
	for k, v := range s.env {
		if strings.Contains(k, "INDEX") && !isIndexCredential(k) {
			urls = append(urls, strings.Fields(v)...)
		}
	}
	return urls
}

// environment is the complete environment of a build's program.
func (s indexSettings) environment(w workshop, more ...string) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + w.home, "TMPDIR=" + w.home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "COLUMNS=10000",
	}
	for k, v := range s.env {
		env = append(env, k+"="+v)
	}
	return append(env, more...)
}

func (in installer) uvEnv(w workshop) []string {
	return in.index.environment(w, "UV_PYTHON_DOWNLOADS=never", "UV_NO_PROGRESS=1")
}

func (in installer) pipEnv(w workshop) []string {
	return in.index.environment(w, "PIP_CONFIG_FILE="+os.DevNull, "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_ROOT_USER_ACTION=ignore", "PYTHONNOUSERSITE=1")
}
