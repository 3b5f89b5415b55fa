def main(input):
    return {"alert": input["alert"], "score": sum(map(ord, input["title"])) % 100}
