// What a source file imports and touches, read from its syntax alone, without a build.

import { parseSync } from 'oxc-parser';

/** One import, whether static, dynamic or by re-export. */
export interface Import {
  readonly from: string;
  /** Only types: nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** The imported names; `*` for all of them. */
  readonly names: readonly string[];
}

/** What the rules look at. */
export interface SourceFacts {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** Ambient things it reads: `Date.now`, `new Date()`, `setTimeout`, `process.env`, … */
  readonly ambient: readonly string[];
  /** Language we do without: `any`, `enum`, `export default`, `export *`. */
  readonly shunned: readonly string[];
}

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const AMBIENT_OBJECTS = new Set(['Date', 'Math', 'performance', 'process', 'AbortSignal', 'crypto', 'globalThis']);
const AMBIENT_FUNCTIONS = new Set(['setTimeout', 'setInterval', 'setImmediate']);
const SHUNNED: Readonly<Record<string, string>> = {
  TSAnyKeyword: 'any',
  TSEnumDeclaration: 'enum',
  ExportDefaultDeclaration: 'export default',
  ExportAllDeclaration: 'export *',
};

/** Reads a file's facts. Throws when it is no TypeScript. */
export function readFacts(path: string, source: string): SourceFacts {
  const { program, errors } = parseSync(path, source, { lang: 'ts', sourceType: 'module' });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const ambient = new Set<string>();
  const shunned = new Set<string>();
  for (const node of walk(program as unknown as Node)) {
    const imported = importOf(node);
    if (imported) imports.push(imported);
    const touched = ambientOf(node);
    if (touched !== undefined) ambient.add(touched);
    const word = SHUNNED[node.type] ?? (exportsDefault(node) ? 'export default' : undefined);
    if (word !== undefined) shunned.add(word);
  }
  return { path, imports, ambient: [...ambient], shunned: [...shunned] };
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of Object.values(node)) {
    for (const item of Array.isArray(child) ? child : [child]) {
      if (typeof item === 'object' && item !== null && typeof (item as Node).type === 'string')
        yield* walk(item as Node);
    }
  }
}

function importOf(node: Node): Import | undefined {
  const source = (node['source'] ?? node['argument']) as Node | undefined | null;
  const from = source?.['value'];
  if (typeof from !== 'string') return undefined;
  const specifiers = (node['specifiers'] ?? []) as readonly Node[];
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration': {
      const kinds = [node, ...specifiers].map((each) => each['importKind'] ?? each['exportKind']);
      const typeOnly =
        kinds[0] === 'type' || (specifiers.length > 0 && kinds.slice(1).every((kind) => kind === 'type'));
      return { from, typeOnly, names: specifiers.map(importedName) };
    }
    case 'ExportAllDeclaration':
    case 'ImportExpression':
      return { from, typeOnly: false, names: ['*'] };
    case 'TSImportType':
      return { from, typeOnly: true, names: ['*'] };
    default:
      return undefined;
  }
}

function importedName(specifier: Node): string {
  const named = (specifier.type === 'ExportSpecifier' ? specifier['local'] : specifier['imported']) as Node | undefined;
  return nameOf(named) ?? '*';
}

/** `export { x as default }` */
function exportsDefault(node: Node): boolean {
  return node.type === 'ExportSpecifier' && nameOf(node['exported']) === 'default';
}

function ambientOf(node: Node): string | undefined {
  if (node.type === 'MemberExpression') {
    const object = nameOf(node['object']);
    return object !== undefined && AMBIENT_OBJECTS.has(object)
      ? `${object}.${nameOf(node['property']) ?? '?'}`
      : undefined;
  }
  const callee = nameOf(node['callee']);
  if (callee === undefined) return undefined;
  if (node.type === 'CallExpression' && AMBIENT_FUNCTIONS.has(callee)) return callee;
  const bare = (node['arguments'] as readonly Node[]).length === 0;
  return node.type === 'NewExpression' && callee === 'Date' && bare ? 'new Date()' : undefined;
}

function nameOf(node: unknown): string | undefined {
  const { type, name } = (node ?? {}) as Partial<Node>;
  return type === 'Identifier' ? String(name) : undefined;
}
