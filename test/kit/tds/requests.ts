/**
 * What a client asks for after login: ALL_HEADERS (MS-TDS 2.2.5.3), SQLBatch (2.2.6.7), RPC (2.2.6.6) and transaction
 * manager requests (2.2.6.9).
 *
 * Exports: `parseSqlBatch`, `parseRpc`, `parseTransactionManager`.
 */
import { readParameter } from "./codec.js"
import type { SqlType, Value } from "./types.js"
import { ProtocolError, Reader } from "./wire.js"

/** The transaction descriptor of a request: 0 outside a transaction. */
const readAllHeaders = (reader: Reader): bigint => {
  const start = reader.offset
  const end = start + reader.u32()
  let descriptor: bigint | undefined
  while (reader.offset < end) {
    const headerEnd = reader.offset + reader.u32()
    const type = reader.u16()
    if (type === 2) {
      descriptor = reader.u64()
      reader.u32() // outstanding requests
    }
    if (reader.offset > headerEnd || headerEnd > end) throw new ProtocolError("ALL_HEADERS: lengths do not agree")
    reader.offset = headerEnd
  }
  if (descriptor === undefined) throw new ProtocolError("ALL_HEADERS without a transaction descriptor")
  return descriptor
}

export interface SqlBatch {
  readonly descriptor: bigint
  readonly text: string
}

export const parseSqlBatch = (data: Buffer): SqlBatch => {
  const reader = new Reader(data)
  const descriptor = readAllHeaders(reader)
  if (reader.remaining % 2 !== 0) throw new ProtocolError("SQLBatch text has half a character")
  return { descriptor, text: reader.ucs2(reader.remaining / 2) }
}

export interface Parameter {
  /** Without `@`; empty where it is given by position. */
  readonly name: string
  readonly output: boolean
  /** The procedure's default is asked for. */
  readonly useDefault: boolean
  readonly type: SqlType
  readonly value: Value
}

export interface Rpc {
  readonly descriptor: bigint
  readonly procedure: string
  readonly parameters: ReadonlyArray<Parameter>
}

const procedures: ReadonlyArray<string> = [
  "",
  "sp_cursor",
  "sp_cursoropen",
  "sp_cursorprepare",
  "sp_cursorexecute",
  "sp_cursorprepexec",
  "sp_cursorunprepare",
  "sp_cursorfetch",
  "sp_cursoroption",
  "sp_cursorclose",
  "sp_executesql",
  "sp_prepare",
  "sp_execute",
  "sp_prepexec",
  "sp_prepexecrpc",
  "sp_unprepare"
]

export const parseRpc = (data: Buffer): Rpc => {
  const reader = new Reader(data)
  const descriptor = readAllHeaders(reader)
  const nameLength = reader.u16()
  let procedure: string
  if (nameLength === 0xffff) {
    const id = reader.u16()
    const known = procedures[id]
    if (known === undefined || known === "") throw new ProtocolError(`procedure id ${id}`)
    procedure = known
  } else {
    procedure = reader.ucs2(nameLength)
  }
  reader.u16() // option flags
  const parameters: Array<Parameter> = []
  while (reader.remaining > 0) {
    const mark = reader.buffer[reader.offset]
    // BatchFlag: a second call in the same message.
    if (mark === 0x80 || mark === 0xff) throw new ProtocolError("several calls in one RPC message")
    const name = reader.bVarchar()
    const status = reader.u8()
    const { type, value } = readParameter(reader)
    parameters.push({
      name: name.startsWith("@") ? name.slice(1) : name,
      output: (status & 0x01) !== 0,
      useDefault: (status & 0x02) !== 0,
      type,
      value
    })
  }
  return { descriptor, procedure, parameters }
}

export type IsolationLevel = "read uncommitted" | "read committed" | "repeatable read" | "serializable" | "snapshot"

const isolationLevels: ReadonlyArray<IsolationLevel | undefined> = [
  undefined,
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
  "snapshot"
]

export type TransactionRequest =
  | { readonly kind: "begin"; readonly isolation: IsolationLevel | undefined; readonly name: string }
  | { readonly kind: "commit"; readonly name: string; readonly begin: TransactionRequest | undefined }
  | { readonly kind: "rollback"; readonly name: string; readonly begin: TransactionRequest | undefined }
  | { readonly kind: "save"; readonly name: string }
  | { readonly kind: "unknown"; readonly type: number }

export const parseTransactionManager = (
  data: Buffer
): { readonly descriptor: bigint; readonly request: TransactionRequest } => {
  const reader = new Reader(data)
  const descriptor = readAllHeaders(reader)
  const type = reader.u16()
  // Names are counted in bytes.
  const name = (): string => reader.bytes(reader.u8()).toString("utf16le")
  const begin = (): TransactionRequest => {
    const level = reader.u8()
    if (level >= isolationLevels.length) throw new ProtocolError(`isolation level ${level}`)
    return { kind: "begin", isolation: isolationLevels[level], name: name() }
  }
  const ended = (kind: "commit" | "rollback"): TransactionRequest => {
    const which = name()
    const flags = reader.remaining === 0 ? 0 : reader.u8()
    return { kind, name: which, begin: (flags & 1) === 0 ? undefined : begin() }
  }
  switch (type) {
    case 5:
      return { descriptor, request: begin() }
    case 7:
      return { descriptor, request: ended("commit") }
    case 8:
      return { descriptor, request: ended("rollback") }
    case 9:
      return { descriptor, request: { kind: "save", name: name() } }
    default:
      return { descriptor, request: { kind: "unknown", type } }
  }
}
