#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
import os
import random

from flask import Flask

app = Flask(__name__)


@app.route("/")
def number():
    return f"{random.randint(1, 1_000_000)}\n"


app.run(host="0.0.0.0", port=int(os.environ["PORT"]))
