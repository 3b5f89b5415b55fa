import re


def main(input):
    text = input["text"]
    print(f"reading {len(text)} characters")
    return {
        "ips": re.findall(r"\b(?:\d{1,3}\.){3}\d{1,3}\b", text),
        "hashes": re.findall(r"\b[0-9a-f]{32}\b", text),
    }
