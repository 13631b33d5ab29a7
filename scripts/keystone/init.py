#!/usr/bin/python3
"""Create the data of a private Keystone: configuration, keys, database and first administrator.

The tests and the demo need a real server. This program does in one process what an operator does with several
commands. It needs neither root nor a service user, unlike `keystone-manage fernet_setup`.

usage: init.py DIR        (an empty folder)

Environment:
  OS_BOOTSTRAP_PASSWORD    the administrator's password; required. Not an argument, because every user can read those.
  PUBLIC_URL               the URL in the service catalog; default http://keystone.invalid
  TOKEN_EXPIRATION         seconds; default 3600
  BCRYPT_ROUNDS            default 4, the minimum of bcrypt: a login takes 30 ms instead of 300 ms
  DATABASE                 an SQLAlchemy URL of an empty database; default a SQLite file in DIR
"""
import base64
import os
import sqlite3
import sys
import traceback

import without_saml_schemas

if 'OS_BOOTSTRAP_PASSWORD' not in os.environ:
    sys.exit('init.py: OS_BOOTSTRAP_PASSWORD is not set')
os.umask(0o077)
directory = os.path.abspath(sys.argv[1])
public_url = os.environ.get('PUBLIC_URL', 'http://keystone.invalid')
own_database = f'sqlite:///{directory}/keystone.db?timeout=20&check_same_thread=false'
database_url = os.environ.get('DATABASE', own_database)


def write_config(first_password_expires):
    # oslo.config expands $name in a value.
    home = directory.replace('$', '$$')
    text = f'''[DEFAULT]
log_file = {home}/keystone.log
[database]
connection = {database_url.replace('$', '$$')}
sqlite_synchronous = false
[identity]
password_hash_rounds = {os.environ.get('BCRYPT_ROUNDS', '4')}
[token]
expiration = {os.environ.get('TOKEN_EXPIRATION', '3600')}
[fernet_tokens]
key_repository = {home}/fernet-keys
[fernet_receipts]
key_repository = {home}/fernet-keys
[credential]
key_repository = {home}/credential-keys
[auth]
methods = password,token,totp,application_credential,mapped,openid,external,oauth1,kerberos,saml2
[totp]
# A code stays valid for minutes: on a busy machine, more than half a minute can pass before it arrives.
included_previous_windows = 10
[oslo_policy]
policy_dirs = {home}/policy.d
[security_compliance]
change_password_upon_first_use = {first_password_expires}
'''
    with open(f'{directory}/conf/keystone.conf', 'w', encoding='utf-8') as file:
        file.write(text)


def make_keys(repository):
    os.mkdir(repository, 0o700)
    for name in '01':
        descriptor = os.open(f'{repository}/{name}', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, 'wb') as file:
            file.write(base64.urlsafe_b64encode(os.urandom(32)))


def manage(*arguments):
    """Run one keystone-manage command in a child process, because it can register its options only once."""
    child = os.fork()
    if child == 0:
        sys.argv = ['keystone-manage', '--config-dir', f'{directory}/conf', *arguments]
        try:
            manage_main()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        sys.exit(f'init.py: keystone-manage {arguments[0]} failed; see {directory}/keystone.log')


os.mkdir(f'{directory}/conf')
os.mkdir(f'{directory}/policy.d')
write_config(first_password_expires=False)
make_keys(f'{directory}/fernet-keys')
make_keys(f'{directory}/credential-keys')

without_saml_schemas.leave_out()
# Imported once for both child processes, because the import takes half of the time.
from keystone.cmd.manage import main as manage_main  # noqa: E402

manage('db_sync')

# With a write-ahead log, readers do not block writers. Otherwise parallel logins fail with "database is locked".
if database_url == own_database:
    database = sqlite3.connect(f'{directory}/keystone.db')
    database.execute('pragma journal_mode=wal')
    database.close()

endpoints = [part for kind in ('public', 'internal', 'admin')
             for part in (f'--bootstrap-{kind}-url', f'{public_url}/v3')]
manage('bootstrap', '--bootstrap-region-id', 'RegionOne', *endpoints)

# This creates users with an expired password, without waiting for a day or changing the database. From now on, it
# applies to every new user without the option ignore_change_password_upon_first_use. The administrator already exists.
write_config(first_password_expires=True)
