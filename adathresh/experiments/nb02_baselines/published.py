"""Figures that others have published, each with its protocol and its source."""

_HAUSS = "Hauss et al., doi 10.1145/3820755.3832808"
_LIBMULTILABEL = "LibMultiLabel, example_config/EUR-Lex-57k/README.md"
_GUIDE = "LibMultiLabel, guide on thresholds"
_HUANG = "Huang et al. 2021, arXiv:2109.04712"
_APTEMOD = "ApteMod test split, the 90 labels with training and test rows"
_OFFICIAL = "official test split, raw text, every label counts"

_ROWS = (
    ("amazoncat-13k", "CascadeXML", _OFFICIAL, 0.4058, None, _HAUSS),
    ("amazoncat-13k", "XR-Transformer", _OFFICIAL, 0.3498, None, _HAUSS),
    ("amazoncat-13k", "RADAr++", _OFFICIAL, 0.3333, None, _HAUSS),
    ("amazoncat-13k", "HBGL", _OFFICIAL, 0.1676, None, _HAUSS),
    (
        "amazoncat-13k",
        "adaptive thresholding (the paper)",
        "10,000 rows of the training file, which also choose the epoch; their labels enter the threshold",
        0.1712,
        None,
        "Shamatrin, arXiv:2505.03118",
    ),
    ("eurlex57k", "CNN-LWAN", _OFFICIAL, 0.2632, 0.7169, _LIBMULTILABEL),
    ("eurlex57k", "BERT-LWAN", _OFFICIAL, 0.2620, 0.7278, _LIBMULTILABEL),
    ("eurlex57k", "BiGRU-LWAN", _OFFICIAL, 0.2543, None, _LIBMULTILABEL),
    ("eurlex57k", "BERT", _OFFICIAL, None, 0.732, "Chalkidis et al. 2019, arXiv:1906.02192"),
    ("reuters21578", "BERT, CB-NTR loss", _APTEMOD, None, 0.9074, _HUANG),
    ("reuters21578", "BERT, DB loss", _APTEMOD, None, 0.9062, _HUANG),
    (
        "goemotions",
        "roberta-base, fine-tuned",
        "test split, 28 labels, threshold 0.5",
        None,
        0.585,
        "model card SamLowe/roberta-base-go_emotions",
    ),
    ("rcv1", "one-vs-rest", "test split, 101 labels", 0.517, None, _GUIDE),
    ("rcv1", "one-vs-rest, tuned thresholds", "test split, 101 labels", 0.564, None, _GUIDE),
    ("rcv1", "one-vs-rest, cost-sensitive", "test split, 101 labels", 0.570, None, _GUIDE),
    ("rcv1", "BERT", "test split, 101 labels", 0.565, None, _GUIDE),
)


def published_rows(dataset):
    """Return what others have published for a data set, as published; none was computed here.

    Thresholded macro-F1 and micro-F1 (None where one was not published), with method, protocol and source.
    """
    names = ("dataset", "method", "protocol", "macro_f1", "micro_f1", "source")
    rows = (dict(zip(names, row, strict=True)) for row in _ROWS)
    return [{**row, "origin": "published"} for row in rows if row["dataset"] == dataset]
