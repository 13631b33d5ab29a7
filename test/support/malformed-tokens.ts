/** Makes a text in a form that a careless check could take for a Keystone token. */
export function makeMalformedToken(index: number): string {
  const forms = [
    'gAAAA',
    `gAAAA${'A'.repeat(index)}`,
    'a.b.c',
    'x'.repeat(index),
    `${'A'.repeat(20)}.e30.${'A'.repeat(20)}`,
  ];
  return `${forms[index % forms.length] ?? ''}${index}`;
}
