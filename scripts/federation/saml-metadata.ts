// Describes SAML 2.0 entities to each other (SAML metadata).

interface Entity {
  readonly entityId: string;
  /** The certificate that the entity signs with. */
  readonly pem: string;
  /** Where browsers or programs log in or out. */
  readonly url: string;
}

const protocolName = 'urn:oasis:names:tc:SAML:2.0:protocol';
const bindings = 'urn:oasis:names:tc:SAML:2.0:bindings';

/** @param consumer the URL that takes the responses that programs forward (binding PAOS) */
export function describeServiceProvider({ consumer, ...entity }: Entity & { readonly consumer: string }): string {
  return describeEntity(
    entity,
    `<SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="${protocolName}">
${describeKey(entity)}
<AssertionConsumerService index="0" isDefault="true" Binding="${bindings}:HTTP-POST" Location="${entity.url}/postResponse"/>
<AssertionConsumerService index="1" Binding="${bindings}:PAOS" Location="${consumer}"/>
</SPSSODescriptor>`,
  );
}

export function describeIdentityProvider(entity: Entity): string {
  return describeEntity(
    entity,
    `<IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="${protocolName}">
${describeKey(entity)}
<SingleSignOnService Binding="${bindings}:SOAP" Location="${entity.url}"/>
</IDPSSODescriptor>`,
  );
}

function describeEntity({ entityId }: Entity, role: string): string {
  return `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}">\n${role}\n</EntityDescriptor>\n`;
}

function describeKey({ pem }: Entity): string {
  const base64 = pem.replaceAll(/-----[^-]+-----|\s/g, '');
  return `<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>${base64}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`;
}
