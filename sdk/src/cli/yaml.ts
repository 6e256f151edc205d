// YAML, as much of it as JSON can say.

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Whether it is a list; `Array.isArray` does not know read-only ones. */
export function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

/** Prints a value as YAML, without the final newline. */
export function yaml(json: Json, indent = ''): string {
  if (isList(json)) {
    if (json.length === 0) return `${indent}[]`;
    return json.map((one) => `${indent}- ${yaml(one, `${indent}  `).trimStart()}`).join('\n');
  }
  if (typeof json !== 'object' || json === null) return indent + scalar(json);
  const fields = Object.entries(json);
  if (fields.length === 0) return `${indent}{}`;
  return fields.map(([key, field]) => `${indent}${scalar(key)}:${yamlField(field, indent)}`).join('\n');
}

function yamlField(field: Json, indent: string): string {
  const nested = typeof field === 'object' && field !== null && Object.keys(field).length > 0;
  return nested ? `\n${yaml(field, `${indent}  `)}` : ` ${yaml(field, '')}`;
}

const PLAIN = /^[A-Za-z_][A-Za-z0-9_./-]*$/;
const MEANS_SOMETHING = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

// Quoted whenever YAML could read it as something else: every JSON string is a YAML one.
function scalar(value: string | number | boolean | null): string {
  return typeof value === 'string' && PLAIN.test(value) && !MEANS_SOMETHING.test(value) ? value : JSON.stringify(value);
}
