from setuptools import setup

setup(
    name="geak-eval",
    version="0.1.0",
)
