import time


def main(input):
    print("waiting for the scanner")
    time.sleep(input["seconds"])
    return "done"
