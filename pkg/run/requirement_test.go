package run

import (
	"strings"
	"testing"
)

func TestEqualRequirementsNormaliseToTheSameText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n  \n# nothing\n\t# here\n", ""},
		{"requests==2.32.3\n", "requests==2.32.3"},
		{"Requests == 2.32.3   # pinned\r\n", "requests==2.32.3"},
		{"requests \\\n  ==2.32.3", "requests==2.32.3"},
		{"requests \\\n  ==2.32.3 # why \\\nnumpy", "numpy\nrequests==2.32.3"},
		{"zope.interface\nFlask_Login\nruamel--yaml", "flask-login\nruamel-yaml\nzope-interface"},
		{"b\na\nb\nB", "a\nb"},
		{"a\rb", "a\nb"},
		{"requests (>=2,<3)", "requests<3,>=2"},
		{"requests<3,>=2,<3", "requests<3,>=2"},
		{"requests[Socks, security,socks]>=2", "requests[security,socks]>=2"},
		{"requests[]", "requests"},
		{"Six == 1.17.0 \\\n    --hash=sha256:" + strings.Repeat("B", 64) + " \\\n  --hash sha256:" + strings.Repeat("a", 64) + " # why",
			"six==1.17.0 --hash=sha256:" + strings.Repeat("a", 64) + " --hash=sha256:" + strings.Repeat("b", 64)},
		{"a==1.0.*\nb~=1.4.2\nc!=1.5\nd===2004-foo\ne==1!2.0RC1.post2.dev3+Local.1", "a==1.0.*\nb~=1.4.2\nc!=1.5\nd===2004-foo\ne==1!2.0rc1.post2.dev3+local.1"},
		{"tomli; python_version<'3.11'", `tomli; python_version < "3.11"`},
		{`tomli ;( python_version < "3.11"and sys_platform   not  in "win32 cygwin" ) or os_name=='posix'`, `tomli; (python_version < "3.11" and sys_platform not in "win32 cygwin") or os_name == "posix"`},
	} {
		got, bad := NormalizeRequirements(c.text)
		if bad != nil || got != c.want {
			t.Errorf("%q:\n got %q, %v\nwant %q", c.text, got, bad, c.want)
		}
	}
}

func TestWhatIsNoRequirementIsRefused(t *testing.T) {
	for _, line := range []string{
		"requests==", "requests==abc", "requests=2.32.3", "requests = 2", "requests 2.32.3", "requests>=1,", "requests~=1", "requests>=1.*",
		"requests>=1+local", "==2.0", "requests[", "requests[a", "requests[a b]", "requests[a,]", "requests (>=1", "requests()", "requests >=1)", "_x", "x_",
		"six==1.17.0 --hash=md5:" + strings.Repeat("a", 32), "six==1.17.0 --hash=sha256:abc", "six==1.17.0 --hash=", "six==1.17.0 --hash=sha256:" + strings.Repeat("a", 64) + " six",
		"six --hash=sha256:" + strings.Repeat("a", 64), "six>=1 --hash=sha256:" + strings.Repeat("a", 64), "six==1.* --hash=sha256:" + strings.Repeat("a", 64),
		"import requests", "def main(input):", "réquests", "requests; python_version", "requests; python_version < 3.11", "requests; pythonversion < '3'",
		"requests; (python_version < '3'", "requests; python_version < '3' and", "requests;", "requests; python_version < '3\"", "a\x00b", "a\u2028b", "requests#comment",
		"a; " + strings.Repeat("(", 5000) + "os_name == 'x'" + strings.Repeat(")", 5000),
	} {
		_, bad := NormalizeRequirements("ok\n\n" + line)
		if bad == nil || bad.Type != InvalidRequirement || bad.Field != "data.requirements" || !strings.Contains(bad.Message, "line 3") {
			t.Errorf("%q: got %v", line, bad)
		}
	}
}

func TestASpaceAfterAContinuingBackslashIsNamed(t *testing.T) {
	for _, text := range []string{"six==1.17.0 \\ ", "six==1.17.0 \\\t\n  --hash=sha256:aaaa"} {
		if _, bad := NormalizeRequirements(text); bad == nil || bad.Type != InvalidRequirement || !strings.Contains(bad.Message, "remove the spaces after it") {
			t.Errorf("%q: got %v", text, bad)
		}
	}
}

func TestWhatAnInstallerWouldTakeForMoreThanANameIsUnsafe(t *testing.T) {
	for _, line := range []string{
		"-r other.txt", "--requirement=other.txt", "-c constraints.txt", "-e .", "-e git+https://example.org/x.git", "--editable ./x", "--index-url https://example.org",
		"-i https://example.org", "--extra-index-url x", "--find-links /tmp", "--no-binary :all:", "--pre", "--trusted-host x", "-",
		"requests\t--global-option=x", "requests==2 --hash=sha256:" + strings.Repeat("a", 64) + "\n-e .",
		".", "..", "./x", "../x", "/etc/passwd", "~/x", `C:\x`, `.\x`, "x/y", "file:x", "file:///etc/passwd",
		"requests @ https://example.org/x.whl", "requests@https://example.org/x.whl", "requests @ file:///x", "https://example.org/x.tar.gz", "git+ssh://git@example.org/x", "git+file:x",
		"x.whl", "x.ZIP", "x-1.0.tar.gz", "x.tgz ; os_name == 'posix'", "requests; python_version > '${HOME}'", "${NAME}", "requests==$VERSION",
	} {
		_, bad := NormalizeRequirements(line)
		if bad == nil || bad.Type != UnsafeRequirement || bad.Field != "data.requirements" {
			t.Errorf("%q: got %v", line, bad)
		}
	}
}

// FuzzRequirements checks what the builder relies on: each line of normalised
// requirements begins with a name, and normalising them again changes nothing.
func FuzzRequirements(f *testing.F) {
	for _, s := range []string{"requests==2.32.3 # x\nnumpy>=1,<2; python_version<'3.11'", "a\\\nb", "-e .", "a==1 --hash=sha256:" + strings.Repeat("a", 64) + " --hash sha512:" + strings.Repeat("B", 128), "a[b,c] (>=1)", "x @ https://y", "a; (os_name=='x' or extra in \"y\") and 'z'=='z'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, bad := NormalizeRequirements(text)
		if bad != nil {
			if bad.Message == "" || len(bad.Message) > 1000 || once != "" {
				t.Fatalf("%q: refused with %q, %q", text, bad.Message, once)
			}
			return
		}
		if twice, bad := NormalizeRequirements(once); bad != nil || twice != once {
			t.Fatalf("%q: first %q, then %q, %v", text, once, twice, bad)
		}
		for line := range strings.SplitSeq(once, "\n") {
			line, _, _ = strings.Cut(line, " --hash=sha")
			if line != "" && namePattern.FindString(line) == "" || strings.ContainsAny(line, "$@\\/#\x00") || strings.Contains(line, "--") && !strings.Contains(line, "\"") && !strings.Contains(line, "===") {
				t.Fatalf("%q: left %q", text, line)
			}
		}
	})
}
