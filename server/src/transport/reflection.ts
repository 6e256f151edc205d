// Server reflection, v1 and v1alpha, from the committed descriptors: so that grpcurl and buf curl can list, describe and
// call everything. @grpc/reflection 1.0.4 fails on map fields, therefore the original bytes are served.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { ServerReflectionRequest, ServerReflectionResponse } from '@leasehold/proto/grpc/reflection/v1/reflection';

/** The files of the wire contract, and which file declares what. */
export interface Descriptors {
  readonly files: ReadonlyMap<string, DescriptorFile>;
  readonly fileOfSymbol: ReadonlyMap<string, string>;
}

/** One .proto file. */
export interface DescriptorFile {
  readonly bytes: Buffer;
  readonly dependencies: readonly string[];
}

/** Reads the committed descriptors. */
export function readDescriptors(): Descriptors {
  const path = fileURLToPath(import.meta.resolve('@leasehold/proto/descriptors.binpb'));
  return parseDescriptors(readFileSync(path));
}

// Field numbers of google/protobuf/descriptor.proto.
const SET_FILE = 1;
const FILE = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6 } as const;
const MESSAGE = { name: 1, nested: 3, enum: 4 } as const;
const NAME = 1;
const SERVICE_METHOD = 2;

/** Parses a serialized FileDescriptorSet as far as reflection needs it. */
export function parseDescriptors(set: Uint8Array): Descriptors {
  const files = new Map<string, DescriptorFile>();
  const fileOfSymbol = new Map<string, string>();
  for (const bytes of fieldsOf(set).get(SET_FILE) ?? []) {
    const fields = fieldsOf(bytes);
    const name = textOf(fields, FILE.name);
    const scope = textOf(fields, FILE.package);
    files.set(name, { bytes: Buffer.from(bytes), dependencies: (fields.get(FILE.dependency) ?? []).map(toText) });
    const declare = (symbol: string) => fileOfSymbol.set(symbol, name);
    for (const message of fields.get(FILE.message) ?? []) declareMessage(scope, message, declare);
    for (const each of fields.get(FILE.enum) ?? []) declare(qualified(scope, textOf(fieldsOf(each), NAME)));
    for (const service of fields.get(FILE.service) ?? []) {
      const parts = fieldsOf(service);
      const symbol = qualified(scope, textOf(parts, NAME));
      declare(symbol);
      for (const method of parts.get(SERVICE_METHOD) ?? []) declare(`${symbol}.${textOf(fieldsOf(method), NAME)}`);
    }
  }
  return { files, fileOfSymbol };
}

function declareMessage(scope: string, message: Uint8Array, declare: (symbol: string) => void): void {
  const fields = fieldsOf(message);
  const symbol = qualified(scope, textOf(fields, MESSAGE.name));
  declare(symbol);
  for (const nested of fields.get(MESSAGE.nested) ?? []) declareMessage(symbol, nested, declare);
  for (const each of fields.get(MESSAGE.enum) ?? []) declare(qualified(symbol, textOf(fieldsOf(each), NAME)));
}

/** The length-delimited fields of a message, by number. */
function fieldsOf(bytes: Uint8Array): ReadonlyMap<number, readonly Uint8Array[]> {
  const LENGTH_DELIMITED = 2;
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== LENGTH_DELIMITED) {
      reader.skip(wireType, number);
      continue;
    }
    fields.set(number, [...(fields.get(number) ?? []), reader.bytes()]);
  }
  return fields;
}

function textOf(fields: ReadonlyMap<number, readonly Uint8Array[]>, number: number): string {
  const [first] = fields.get(number) ?? [];
  return first ? toText(first) : '';
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function qualified(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

type ReflectionStream = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

/** The reflection service (the same for v1 and v1alpha) for these services. */
export function reflectionHandlers(
  descriptors: Descriptors,
  services: readonly string[],
): UntypedServiceImplementation {
  return {
    serverReflectionInfo: (call: ReflectionStream) => {
      call.on('data', (request: ServerReflectionRequest) => {
        const messageResponse = answer(descriptors, services, request);
        call.write({ validHost: request.host, originalRequest: request, messageResponse });
      });
      call.on('end', () => call.end());
      call.on('error', () => call.end());
    },
  };
}

function answer(
  descriptors: Descriptors,
  services: readonly string[],
  { messageRequest }: ServerReflectionRequest,
): ServerReflectionResponse['messageResponse'] {
  switch (messageRequest?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return fileResponse(descriptors, messageRequest.value);
    case 'fileContainingSymbol':
      return fileResponse(descriptors, descriptors.fileOfSymbol.get(messageRequest.value));
    case 'allExtensionNumbersOfType':
      return {
        $case: 'allExtensionNumbersResponse',
        value: { baseTypeName: messageRequest.value, extensionNumber: [] },
      };
    default:
      return notFound('There are no extensions here');
  }
}

function fileResponse(descriptors: Descriptors, name: string | undefined): ServerReflectionResponse['messageResponse'] {
  if (name === undefined || !descriptors.files.has(name)) return notFound('There is no such file or symbol');
  const wanted = new Set([name]);
  // A Set is iterated in insertion order and sees what is added on the way: this walks all dependencies.
  for (const each of wanted)
    for (const dependency of descriptors.files.get(each)?.dependencies ?? []) wanted.add(dependency);
  const fileDescriptorProto = [...wanted].flatMap((each) => descriptors.files.get(each)?.bytes ?? []);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function notFound(errorMessage: string): ServerReflectionResponse['messageResponse'] {
  return { $case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage } };
}
