"""The module `test.service` that the source distribution leaves out: here only brokers that run already."""


class ExternalService:
    def __init__(self, host, port):
        self.host = host
        self.port = port

    def open(self):
        pass

    def close(self):
        pass


class SpawnedService:
    def __init__(self, *arguments):
        raise NotImplementedError("the suite runs against a broker that was started for it")
