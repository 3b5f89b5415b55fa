package claimcheck

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const someKey = "results/" + "aaaaaaaaaaaaaaaaaaaaaaaaaa" + "/6f1c2f0e-0f3b-4d53-9a0e-2b8f2f1b7c11"

func TestAPointerIsWrittenAsTheOfficialJavaClientWritesIt(t *testing.T) {
	got := string(pointer{Bucket: "payloads", Key: "results/x/6f1c2f0e-0f3b-4d53-9a0e-2b8f2f1b7c11"}.encode())
	want := `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"payloads","s3Key":"results/x/6f1c2f0e-0f3b-4d53-9a0e-2b8f2f1b7c11"}]`
	if got != want {
		t.Errorf("encode = %s\nwant     %s", got, want)
	}
}

func TestPointersOfTheOfficialClientsAreRead(t *testing.T) {
	for name, body := range map[string]string{
		"java":   `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`,
		"python": `["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "b", "s3Key": "k"}]`,
		"legacy": `["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`,
	} {
		if p, err := parsePointer([]byte(body)); err != nil || p != (pointer{"b", "k"}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestAnythingElseIsMalformed(t *testing.T) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `[1,2]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer"]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",{}]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",null]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b"}]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":1,"s3Key":"k"}]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"},1]`,
		`["java.lang.Runtime",{"s3BucketName":"b","s3Key":"k"}]`,
	} {
		if p, err := parsePointer([]byte(body)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", body, p, err)
		}
	}
}

func TestAPointerIsFollowedOnlyWhereItsDeliveryMayRead(t *testing.T) {
	acme, other := newKey("results", "acme"), newKey("results", "other")
	random := strings.TrimPrefix(acme, "results/"+scope("acme")+"/")
	for _, c := range []struct {
		name, key, prefix string
		foreign, may      bool
	}{
		{"its own", acme, "results", false, true},
		{"its own, on a queue that takes foreign keys", acme, "results", true, true},
		{"another group's", other, "results", false, false},
		{"another group's, on a queue that takes foreign keys", other, "results", true, false},
		{"another prefix", newKey("requests", "acme"), "results", true, false},
		{"a prefix that only begins alike", "results-2/" + random, "results", true, false},
		{"the prefix itself", "results/", "results", true, false},
		{"an official client's", "results/" + random, "results", true, true},
		{"an official client's, where none sends", "results/" + random, "results", false, false},
		{"an official client's, without a prefix", random, "", true, true},
		{"ours, without a prefix", acme, "", true, false},
		{"a way out", "results/../requests/" + random, "results", true, false},
		{"an escaped way out", "results/%2e%2e/" + random, "results", true, false},
		{"a doubled slash", "results//" + random, "results", true, false},
		{"a slash in front", "/" + acme, "results", false, false},
		{"what is not random in its scope", "results/" + scope("acme") + "/x", "results", true, false},
		{"a control character", "results/a\nb", "results", true, false},
		{"a query", "results/a?versionId=1", "results", true, false},
		{"too long", "results/" + strings.Repeat("x", 1024), "results", true, false},
		{"nothing", "", "", true, false},
	} {
		if got := mayRead(c.key, c.prefix, "acme", c.foreign); got != c.may {
			t.Errorf("%s: mayRead(%q, %q) = %v, want %v", c.name, c.key, c.prefix, got, c.may)
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add(pointer{Bucket: "b", Key: someKey}.encode())
	f.Add([]byte(`["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3BucketName":"b","s3Key":"results/../x"}]`))
	f.Add([]byte(`["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "b", "s3Key": "\u0000"}]`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePointer(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if p.Bucket == "" || p.Key == "" {
			t.Fatalf("half a pointer: %+v", p)
		}
		if !utf8.ValidString(p.Key) {
			t.Fatalf("a key that is no text: %q", p.Key)
		}
		again, err := parsePointer(p.encode())
		if err != nil || again != p {
			t.Fatalf("%+v is read back as %+v, %v", p, again, err)
		}
		if mayRead(p.Key, "results", "acme", true) && (!strings.HasPrefix(p.Key, "results/") || strings.Contains(p.Key, "..") && strings.Contains(p.Key, "/../")) {
			t.Fatalf("%q may be read from under results", p.Key)
		}
	})
}
