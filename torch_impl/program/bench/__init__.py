"""`sae-spec bench`: how fast a training step is, measured against the encoder's product and against others.

    worker.py    the protocol: a process that takes one step when asked
    ours.py      the subjects of this package
    peers.py     those of other libraries; runs in an environment of its own (`make bench-peers`)
    session.py   all subjects side by side on the same weights and data
    table.py     what was found, for people
    record.py    what was found, to be kept; README shows measured.json
    scan.py      what the absorption detector costs at scale: a command of its own, kept in measured_scan.json
"""
