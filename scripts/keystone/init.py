#!/usr/bin/python3
"""Make the data of a private Keystone: configuration, keys, database, first administrator.

Tests and the demonstration must meet the real server, so this does in one process what an operator does with
several commands, and needs neither root nor a service user (`keystone-manage fernet_setup` would want both).

usage: init.py DIR        (DIR exists and is empty)

Environment:
  OS_BOOTSTRAP_PASSWORD    the administrator's password; required. Here and not in argv, which every user can read.
  PUBLIC_URL               what the service catalogue says; default http://keystone.invalid
  TOKEN_EXPIRATION         seconds; default 3600
  BCRYPT_ROUNDS            default 4, the least bcrypt takes: a log-in costs 30 ms instead of 300 ms
  LOCKOUT_ATTEMPTS         lock an account after so many wrong passwords; default never
  LOCKOUT_SECONDS          for how long; default 1800
"""
import base64
import os
import sqlite3
import sys
import traceback

if 'OS_BOOTSTRAP_PASSWORD' not in os.environ:
    sys.exit('init.py: OS_BOOTSTRAP_PASSWORD is not set')
os.umask(0o077)
directory = os.path.abspath(sys.argv[1])
public_url = os.environ.get('PUBLIC_URL', 'http://keystone.invalid')


def write_config(first_password_expires):
    # oslo.config expands $name in a value.
    home = directory.replace('$', '$$')
    text = f'''[DEFAULT]
log_file = {home}/keystone.log
[database]
connection = sqlite:///{home}/keystone.db?timeout=20
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
methods = password,token,totp,application_credential,external,oauth1,mapped,openid,kerberos
[oslo_policy]
policy_dirs = {home}/policy.d
[security_compliance]
change_password_upon_first_use = {first_password_expires}
'''
    if 'LOCKOUT_ATTEMPTS' in os.environ:
        text += f'''lockout_failure_attempts = {os.environ['LOCKOUT_ATTEMPTS']}
lockout_duration = {os.environ.get('LOCKOUT_SECONDS', '1800')}
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
    """Run one keystone-manage command, in a child: it can register its options only once per process."""
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

# Once for both children: the import is half of the whole time.
from keystone.cmd.manage import main as manage_main  # noqa: E402

manage('db_sync')

# Readers must not lock writers out, or parallel log-ins end in "database is locked".
database = sqlite3.connect(f'{directory}/keystone.db')
database.execute('pragma journal_mode=wal')
database.close()

endpoints = [part for kind in ('public', 'internal', 'admin')
             for part in (f'--bootstrap-{kind}-url', f'{public_url}/v3')]
manage('bootstrap', '--bootstrap-region-id', 'RegionOne', *endpoints)

# The one way to an expired password that needs no day of waiting and no hand in the database. From here on it holds
# for every new user without the option ignore_change_password_upon_first_use; the administrator was there before.
write_config(first_password_expires=True)
