"""Train label trees in a process of their own: omikuji heeds no interrupt, and errors end its process."""

import json
import sys


def main(data, folder, n_threads, settings):
    """Train on a file in the Extreme Classification format and save the trees in a folder."""
    import omikuji

    parameters = omikuji.Model.default_hyper_param()
    for name, value in json.loads(settings).items():
        setattr(parameters, name, value)
    omikuji.Model.train_on_data(data, parameters, int(n_threads)).save(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
