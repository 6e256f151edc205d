// What is spoken on the listeners, as the committed descriptors say: so that a new message is fuzzed without a word here.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, type DescMessage, type DescMethod, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const bytes = readFileSync(fileURLToPath(import.meta.resolve('@leasehold/proto/descriptors.binpb')));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));

/** The RPCs of a service. */
export function methodsOf(service: string): readonly DescMethod[] {
  const found = registry.getService(service);
  if (!found) throw new Error(`The descriptors have no service ${service}`);
  return found.methods;
}

/** A message by its full name. */
export function messageType(name: string): DescMessage {
  const found = registry.getMessage(name);
  if (!found) throw new Error(`The descriptors have no message ${name}`);
  return found;
}

/** As HTTP/2 asks for it. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
