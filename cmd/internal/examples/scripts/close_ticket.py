def main(input):
    ticket = input["ticket"]
    return {"closed": ticket["number"]}
