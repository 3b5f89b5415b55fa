from slugify import slugify


def main(input):
    return [slugify(title) for title in input["titles"]]
