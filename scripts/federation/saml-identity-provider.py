#!/usr/bin/python3
"""Run a SAML 2.0 identity provider for programs (SAML profile "Enhanced Client or Proxy") on loopback, with pysaml2.

usage: saml-identity-provider.py SETTINGS

SETTINGS is a JSON file: `port`, `tls` and `signing` (a certificate and its key each), `entity_id`, `metadata` (of the service
providers), `xmlsec` (the path of xmlsec1), `users` (`name`, `password` and `email` each) and `access_log`.

Prints `listening PORT`, and exits when stdin closes. The access log has one line per request, `METHOD PATH STATUS cn=-`,
written before the response is sent. It never contains a header or a body.

`POST /ecp` takes an AuthnRequest in a SOAP envelope, with the user and the password in HTTP Basic authentication. The
provider also answers below each path /of-HEX.
"""
import base64
import json
import os
import ssl
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_PAOS, BINDING_SOAP
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.saml import NAME_FORMAT_URI
from saml2.server import Server

MAX_BODY_BYTES = 65536
SOAP = 'http://schemas.xmlsoap.org/soap/envelope/'
ECP = 'urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp'
NEXT_ACTOR = 'http://schemas.xmlsoap.org/soap/actor/next'

os.umask(0o077)
with open(sys.argv[1], encoding='utf-8') as file:
    settings = json.load(file)
users = {user['name']: user for user in settings['users']}
url = f"https://127.0.0.1:{settings['port']}/ecp"

provider = Server(config=IdPConfig().load({
    'entityid': settings['entity_id'],
    'cert_file': settings['signing'][0],
    'key_file': settings['signing'][1],
    'xmlsec_binary': settings['xmlsec'],
    'metadata': {'local': [settings['metadata']]},
    'service': {
        'idp': {
            'endpoints': {'single_sign_on_service': [(url, BINDING_SOAP)]},
            'policy': {'default': {'lifetime': {'minutes': 5}, 'name_form': NAME_FORMAT_URI}},
        },
    },
}))
# Its store of subjects is not made for several threads.
turn = threading.Lock()
log = os.open(settings['access_log'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)


def envelop(consumer, response):
    """Put a response into the envelope in which the client forwards it to the service provider."""
    # The client, not the service provider, reads the header.
    header = (f'<ecp:Response xmlns:ecp="{ECP}" S:mustUnderstand="1" S:actor="{NEXT_ACTOR}"'
              f' AssertionConsumerServiceURL={quoteattr(consumer)}/>')
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<S:Envelope xmlns:S="{SOAP}">\n'
            f'  <S:Header>{header}</S:Header>\n  <S:Body>{response}</S:Body>\n</S:Envelope>\n')


def find_user(authorization):
    scheme, _, encoded = authorization.partition(' ')
    if scheme.lower() != 'basic':
        return None
    name, _, password = base64.b64decode(encoded).decode(errors='replace').partition(':')
    user = users.get(name)
    return user if user and user['password'] == password else None


def unwrap(body):
    """Take the AuthnRequest out of its envelope, with its prefixes: pysaml2 would rename them, which breaks the signature."""
    envelope = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    [request] = envelope.find(f'{{{SOAP}}}Body')
    return etree.tostring(request)


def log_in(body, user):
    with turn:
        # What pysaml2 calls HTTP-POST is the document in base64.
        request = provider.parse_authn_request(base64.b64encode(unwrap(body)).decode(), BINDING_HTTP_POST)
        answer = provider.response_args(request.message, [BINDING_PAOS])
        response = provider.create_authn_response(
            {'mail': [user['email']]},
            userid=user['name'],
            authn={'class_ref': PASSWORDPROTECTEDTRANSPORT, 'authn_auth': settings['entity_id']},
            sign_assertion=True,
            **answer,
        )
    start = str(response)
    # The declaration of a document may only stand at its start.
    if start.startswith('<?xml'):
        start = start[start.index('?>') + 2:].lstrip()
    return envelop(answer['destination'], start)


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        length = int(self.headers.get('Content-Length') or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            return self.respond(413, 'too large')
        body = self.rfile.read(length)
        if not self.path.endswith('/ecp'):
            return self.respond(404, 'no such page')
        user = find_user(self.headers.get('Authorization') or '')
        if user is None:
            return self.respond(401, '<html>Unauthorized</html>', ('WWW-Authenticate', 'Basic realm="provider"'))
        try:
            return self.respond(200, log_in(body, user), ('Content-Type', 'text/xml'))
        except Exception as error:  # pysaml2 has no common class of errors
            traceback.print_exc()
            return self.respond(500, f'<S:Envelope xmlns:S="{SOAP}"><S:Body><S:Fault><faultcode>S:Client</faultcode>'
                                f'<faultstring>{escape(repr(error))}</faultstring></S:Fault></S:Body></S:Envelope>',
                                ('Content-Type', 'text/xml'))

    def do_GET(self):
        self.respond(404, 'no such page')

    def respond(self, status, text, *headers):
        os.write(log, f'{self.command} {self.path} {status} cn=-\n'.encode('utf-8', 'backslashreplace'))
        content = text.encode()
        self.send_response(status)
        for name, value in [*headers, ('Content-Length', str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class TlsServer(ThreadingHTTPServer):
    def get_request(self):
        connection, address = super().get_request()
        return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


def exit_with_parent():
    while os.read(0, 4096):
        pass
    os._exit(0)


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(*settings['tls'])
threading.Thread(target=exit_with_parent, daemon=True).start()
server = TlsServer(('127.0.0.1', settings['port']), Handler)
print('listening', server.server_port, flush=True)
server.serve_forever()
