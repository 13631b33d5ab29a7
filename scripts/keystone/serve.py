#!/usr/bin/python3
"""Serve Keystone's WSGI application on loopback with Python's own HTTP server.

The tests and the demo need a Keystone that starts in seconds, without Apache, a service user or root.

usage: serve.py PORT [--tls CERT KEY] [--client-ca CA [--require-client-cert]] [--more-tls CERT KEY CA optional|required]...
       [--negotiate DOMAIN] [--access-log FILE] [--watch-stdin]
       (requires the variable OS_KEYSTONE_CONFIG_DIR; with PORT 0, the system chooses the port)

Prints `listening PORT`, and the port of each --more-tls, when the application responds. The access log has one line per request,
`METHOD PATH?QUERY STATUS cn=NAME`, written before the response is sent, so a client with a response can count it. The
log never contains a header or a body.

With --negotiate, a login requires a Kerberos ticket (RFC 4559), as behind Apache's mod_auth_gssapi: the principal
without its realm becomes REMOTE_USER, and Keystone looks for that user in DOMAIN. KRB5_KTNAME is the keytab's path.

Keystone also responds below each path /of-HEX, as many clouds mount it at /identity. Tests that run at the same time
use different paths to distinguish their requests.
"""
import argparse
import fcntl
import io
import os
import re
import socketserver
import ssl
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import setup_testing_defaults

parser = argparse.ArgumentParser(prog='serve.py')
parser.add_argument('port', type=int)
parser.add_argument('--tls', nargs=2, metavar=('CERT', 'KEY'))
parser.add_argument('--client-ca', metavar='CA')
parser.add_argument('--require-client-cert', action='store_true')
parser.add_argument('--more-tls', nargs=4, action='append', default=[], metavar=('CERT', 'KEY', 'CA', 'CLIENT_CERT'),
                    help='another port, with TLS; a client certificate of CA is optional or required')
parser.add_argument('--negotiate', metavar='DOMAIN')
parser.add_argument('--access-log', metavar='FILE')
parser.add_argument('--watch-stdin', action='store_true', help='exit when stdin closes, as when the parent ends')
options = parser.parse_args()
if options.client_ca and not options.tls:
    parser.error('--client-ca needs --tls')
config_dir = os.environ.get('OS_KEYSTONE_CONFIG_DIR')
if not config_dir:
    parser.error('OS_KEYSTONE_CONFIG_DIR is not set')
if options.require_client_cert and not options.client_ca:
    parser.error('--require-client-cert needs --client-ca')

os.umask(0o077)
if options.watch_stdin:
    def exit_with_parent():
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=exit_with_parent, daemon=True).start()

# oslo.config would parse these arguments.
sys.argv[1:] = []
import without_saml_schemas  # noqa: E402

without_saml_schemas.leave_out()
from keystone.server.wsgi import initialize_public_application  # noqa: E402
from thread_local_token import separate_tokens  # noqa: E402


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64
    tls = None

    def server_bind(self):
        # Not that of WSGIServer, which resolves the host name. That can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request, client_address):
        # The handshake runs in the thread of the connection, so that a silent client does not block other clients.
        request.settimeout(30)
        if self.tls:
            request.do_handshake()
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        # Some tests cause failed handshakes on purpose.
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def get_environ(self):
        environ = super().get_environ()
        environ['REQUEST_URI'] = self.path
        environ['wsgi.url_scheme'] = 'http'
        if isinstance(self.connection, ssl.SSLSocket):
            environ['wsgi.url_scheme'] = 'https'
            environ['HTTPS'] = 'on'
            certificate = self.connection.getpeercert()
            if certificate:
                subject = dict(part[0] for part in certificate['subject'])
                environ['SSL_CLIENT_VERIFY'] = 'SUCCESS'
                environ['SSL_CLIENT_S_DN_CN'] = subject.get('commonName', '')
        return environ

    def log_message(self, *_):
        pass


def log_requests(application, file):
    log = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def logged(environ, start_response):
        def start(status, headers, exc_info=None):
            name = environ.get('SSL_CLIENT_S_DN_CN') or '-'
            line = f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} {status[:3]} cn={name}\n"
            # A single appending write keeps lines of parallel threads complete.
            os.write(log, line.encode('utf-8', 'backslashreplace'))
            return start_response(status, headers, exc_info)
        return application(environ, start)
    return logged


def pool_connections():
    """Keep connections to the database, as SQLAlchemy 2 does, because opening one takes more time than most queries."""
    from sqlalchemy import pool
    from sqlalchemy.dialects.sqlite import pysqlite

    pysqlite.SQLiteDialect_pysqlite.get_pool_class = classmethod(lambda cls, url: pool.QueuePool)


def serialize(application, lock_file):
    """Run requests one at a time, and requests that can write also across servers that share the same data.

    Otherwise a request could keep something in the cache that another request is changing.

    oslo.db starts every transaction as a reader. If another transaction has written in the meantime, sqlite immediately
    refuses to make it a writer, whatever the timeout: "database is locked". Keystone then returns the status 500.
    A federated login writes too, even with GET: it makes a user, or notes that the user was here.
    """
    turn = threading.Lock()

    def serialized(environ, start_response):
        if environ['REQUEST_METHOD'] in ('GET', 'HEAD') and '/OS-FEDERATION/' not in environ['PATH_INFO']:
            with turn:
                return application(environ, start_response)
        # Read the whole body first, so that a client that stops in the middle does not block other clients.
        body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        environ['wsgi.input'] = io.BytesIO(body)
        with turn, open(lock_file, 'w', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return application(environ, start_response)
    return serialized


def require_ticket(application, domain):
    import base64
    import gssapi

    spnego = gssapi.OID.from_int_seq('1.3.6.1.5.5.2')
    credentials = gssapi.Credentials(usage='accept', mechs=[spnego, gssapi.MechType.kerberos])

    def authenticated(environ, start_response):
        if environ['REQUEST_METHOD'] != 'POST' or environ['PATH_INFO'] != '/v3/auth/tokens':
            return application(environ, start_response)
        # An unread body would be parsed as the next request.
        body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        environ['wsgi.input'] = io.BytesIO(body)
        scheme, _, ticket = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        context = gssapi.SecurityContext(creds=credentials, usage='accept')
        proof = b''
        try:
            if scheme.lower() == 'negotiate':
                proof = context.step(base64.b64decode(ticket)) or b''
        except (gssapi.exceptions.GSSError, ValueError):
            pass
        if not context.complete:
            start_response('401 Unauthorized', [('WWW-Authenticate', 'Negotiate'), ('Content-Type', 'text/html')])
            return [b'<html><head><title>401 Unauthorized</title></head><body><h1>Unauthorized</h1></body></html>']
        environ['REMOTE_USER'] = str(context.initiator_name).partition('@')[0]
        environ['REMOTE_DOMAIN'] = domain
        environ['AUTH_TYPE'] = 'Negotiate'

        def start(status, headers, exc_info=None):
            proven = ('WWW-Authenticate', 'Negotiate ' + base64.b64encode(proof).decode())
            return start_response(status, [*headers, proven], exc_info)
        return application(environ, start)
    return authenticated


def mount_anywhere(application):
    def mounted(environ, start_response):
        prefix = re.match(r'/of-[0-9a-f]+(?=/|$)', environ['PATH_INFO'])
        if prefix:
            environ['SCRIPT_NAME'] += prefix[0]
            environ['PATH_INFO'] = environ['PATH_INFO'][prefix.end():]
        return application(environ, start_response)
    return mounted


def warm_up(application):
    """Request /v3 without the network, which works whether or not TLS and client certificates are required."""
    environ = {'PATH_INFO': '/v3'}
    setup_testing_defaults(environ)
    statuses = []
    b''.join(application(environ, lambda status, headers, exc_info=None: statuses.append(status)))
    if statuses[:1] != ['200 OK']:
        sys.exit(f'serve.py: GET /v3 returned {statuses}')


separate_tokens()
pool_connections()
keystone = initialize_public_application()
warm_up(keystone)
application = serialize(keystone, f'{config_dir}/turn.lock')
if options.negotiate:
    application = require_ticket(application, options.negotiate)
application = mount_anywhere(application)
if options.access_log:
    application = log_requests(application, options.access_log)


def listen(port, certificate=None, client_ca=None, requires_client_cert=False):
    server = Server(('127.0.0.1', port), Handler)
    server.set_app(application)
    if certificate:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(*certificate)
        if client_ca:
            server.tls.load_verify_locations(client_ca)
            server.tls.verify_mode = ssl.CERT_REQUIRED if requires_client_cert else ssl.CERT_OPTIONAL
    return server


servers = [listen(options.port, options.tls, options.client_ca, options.require_client_cert)]
servers += [listen(0, (cert, key), ca, client_cert == 'required') for cert, key, ca, client_cert in options.more_tls]
print('listening', *(server.server_port for server in servers), flush=True)
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
