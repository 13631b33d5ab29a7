#!/usr/bin/python3
"""Serve Keystone's real WSGI application on loopback, with Python's own http server.

Tests and the demonstration need a Keystone that starts in seconds, without Apache, a service user or root.

usage: serve.py PORT [--tls CERT KEY] [--client-ca CA [--require-client-cert]] [--negotiate DOMAIN] [--access-log FILE]
       [--watch-stdin]
       (OS_KEYSTONE_CONFIG_DIR in the environment; PORT 0 lets the system choose)

Prints `listening PORT` once the application answers. The access log has one line per request,
`METHOD PATH?QUERY STATUS cn=NAME`, written before the answer leaves, so whoever has an answer can count it. It never
holds a header or a body.

With --negotiate a log-in takes a Kerberos ticket (RFC 4559), as behind Apache's mod_auth_gssapi: its principal becomes
REMOTE_USER without the realm, and DOMAIN is where Keystone looks that user up. KRB5_KTNAME names the keytab.

A path below /of-HEX is served as if Keystone were mounted there, as many clouds do with /identity. Tests that run at
the same time tell their requests apart by it.
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
parser.add_argument('--negotiate', metavar='DOMAIN')
parser.add_argument('--access-log', metavar='FILE')
parser.add_argument('--watch-stdin', action='store_true', help='exit when stdin ends, that is, with the parent')
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

# oslo.config reads sys.argv as its own.
sys.argv[1:] = []
from keystone.server.wsgi import initialize_public_application  # noqa: E402


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64
    tls = None

    def server_bind(self):
        # Not WSGIServer's: it asks the resolver for the host's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread: a client that never speaks must not stop the others.
        request.settimeout(30)
        if self.tls:
            request.do_handshake()
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        # Refused handshakes are what some tests are about.
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
            # One write, appending: whole lines also with many threads.
            os.write(log, line.encode('utf-8', 'backslashreplace'))
            return start_response(status, headers, exc_info)
        return application(environ, start)
    return logged


def take_turns(application, lock_file):
    """Let requests that may write wait for each other, also among servers over the same data.

    oslo.db begins every transaction as a reader. sqlite refuses at once, whatever its timeout, to make a writer of it
    when another transaction has written meanwhile: "database is locked", and Keystone answers 500.
    """
    def in_turn(environ, start_response):
        if environ['REQUEST_METHOD'] in ('GET', 'HEAD'):
            return application(environ, start_response)
        # All of it first: a client that stops in the middle of its body must not hold up the others.
        body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        environ['wsgi.input'] = io.BytesIO(body)
        with open(lock_file, 'w', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return application(environ, start_response)
    return in_turn


def ask_for_ticket(application, domain):
    import base64
    import gssapi

    spnego = gssapi.OID.from_int_seq('1.3.6.1.5.5.2')
    credentials = gssapi.Credentials(usage='accept', mechs=[spnego, gssapi.MechType.kerberos])

    def asking(environ, start_response):
        if environ['REQUEST_METHOD'] != 'POST' or environ['PATH_INFO'] != '/v3/auth/tokens':
            return application(environ, start_response)
        # Left unread, it would stand in front of the next request.
        body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        environ['wsgi.input'] = io.BytesIO(body)
        scheme, _, given = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        context = gssapi.SecurityContext(creds=credentials, usage='accept')
        proof = b''
        try:
            if scheme.lower() == 'negotiate':
                proof = context.step(base64.b64decode(given)) or b''
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
    return asking


def mount_anywhere(application):
    def mounted(environ, start_response):
        prefix = re.match(r'/of-[0-9a-f]+(?=/|$)', environ['PATH_INFO'])
        if prefix:
            environ['SCRIPT_NAME'] += prefix[0]
            environ['PATH_INFO'] = environ['PATH_INFO'][prefix.end():]
        return application(environ, start_response)
    return mounted


def warm_up(application):
    """Ask for /v3 without the network: the same proof with TLS, client certificates or neither."""
    environ = {'PATH_INFO': '/v3'}
    setup_testing_defaults(environ)
    answers = []
    b''.join(application(environ, lambda status, headers, exc_info=None: answers.append(status)))
    if answers[:1] != ['200 OK']:
        sys.exit(f'serve.py: GET /v3 gave {answers}')


keystone = initialize_public_application()
warm_up(keystone)
application = take_turns(keystone, f'{config_dir}/turn.lock')
if options.negotiate:
    application = ask_for_ticket(application, options.negotiate)
application = mount_anywhere(application)
if options.access_log:
    application = log_requests(application, options.access_log)

server = Server(('127.0.0.1', options.port), Handler)
server.set_app(application)
if options.tls:
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(*options.tls)
    if options.client_ca:
        server.tls.load_verify_locations(options.client_ca)
        server.tls.verify_mode = ssl.CERT_REQUIRED if options.require_client_cert else ssl.CERT_OPTIONAL
print('listening', server.server_port, flush=True)
server.serve_forever()
