"""Leave out the XML schemas of SAML, whose compilation takes a third of the time in which Keystone starts.

pysaml2 compiles them when it is imported. Keystone needs them only as an identity provider for another Keystone, which
no test and no demo has: behind Apache, a module of Apache reads the assertions.
"""
import sys
import types


class XMLSchemaError(Exception):
    pass


def leave_out():
    """Call this before the first import of Keystone."""
    module = types.ModuleType('saml2.xml.schema', __doc__)
    module.XMLSchemaError = XMLSchemaError
    module.node_to_schema = {}
    sys.modules[module.__name__] = module
