"""Let Keystone serve requests in parallel threads.

Its middleware keeps the token of a request in an attribute of an object that all requests share, because operators run
one thread per process. In parallel threads, a request can go on with the token of another request, and so with the
roles of another user: an application credential is then rejected with "Could not find role assignment with role".
"""
import threading

from keystone.server.flask.request_processing.middleware.auth_context import AuthContextMiddleware


class ThreadLocal:
    """An attribute with a value of its own in each thread."""

    def __init__(self):
        self.values = threading.local()

    def __get__(self, instance, owner=None):
        return getattr(self.values, 'value', None)

    def __set__(self, instance, value):
        self.values.value = value


def separate_tokens():
    AuthContextMiddleware.token = ThreadLocal()
