
    # The first group whose pattern matches has a parameter; the last chain has all others.
    def group(name):
        matches = lambda text: re.fullmatch(".*".join(map(re.escape, text.split("*"))), name)
        return next((i for i, texts in enumerate(groups) if any(map(matches, texts))), len(groups))

    whole = optax.multi_transform(dict(enumerate(chains)), {name: group(name) for name in params})
