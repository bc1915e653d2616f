"""The sentences that explain the report's parts."""

TITLE = "ChatReID: evaluation report"
LEAD = (
    "Figures in per cent unless a column says otherwise. Published rows are printed in the paper; ours were "
    "measured by this software, by the protocols in docs/evaluation.md. Bold is the best of a column, a dash "
    "means not given."
)
ABSENT = "No run of ours is on these benchmarks; the published rows stand alone."
CURVES = "Share of the queries whose person is found within the first ranks, in per cent."
CAMERAS = (
    "First answers, by the camera of the query (rows) and of the crop that came first (columns): how many of them "
    "were right, of how many. The redder, the more were wrong."
)
RELIABILITY = (
    "Confidence shown against the share of candidates that were right: a calibrated model lies on the line."
)
GALLERY = (
    "The query on the left, the first ten crops in order. Solid green and ✓: a right answer; dashed red and ✗: a "
    "wrong one. Junk is left out, as the protocol says."
)
