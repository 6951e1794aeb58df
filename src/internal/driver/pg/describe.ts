/**
 * What a statement takes and gives, as the server says when it has parsed it: Parse and Describe, without Bind and Execute.
 */
import type { DbError } from "../../../DbError.js"
import type { DescribedColumn, Description, Done } from "../../../driver/Driver.js"
import type { Channel } from "./exchange.js"
import { Exchange } from "./exchange.js"
import type { Failing } from "./failures.js"
import { Lookup } from "./lookup.js"
import type { Field } from "./shape.js"
import type { Types } from "./types.js"
import { writer } from "./writer.js"

interface Words {
  readonly read: string | undefined
  readonly written: string | undefined
}

const unknown: Words = { read: undefined, written: undefined }
const text: Words = { read: "string", written: "string" }
const number: Words = { read: "number", written: "number | bigint" }
const date: Words = { read: "Date", written: "Date | string" }

/** What values.ts and `pg` make of the built-in types. */
const scalars = new Map<number, Words>([
  [16, { read: "boolean", written: "boolean" }],
  [17, { read: "Buffer", written: "Uint8Array | ArrayBuffer" }],
  [20, { read: "string", written: "bigint | number | string" }],
  [21, number],
  [23, number],
  [26, number],
  [114, unknown],
  [600, { read: "{ x: number; y: number }", written: "string" }],
  [700, number],
  [701, number],
  [705, unknown],
  [718, { read: "{ x: number; y: number; radius: number }", written: "string" }],
  [1082, date],
  [1114, date],
  [1184, date],
  [1186, {
    read: "{ years?: number; months?: number; days?: number; hours?: number; minutes?: number; seconds?: number; " +
      "milliseconds?: number }",
    written: "string"
  }],
  [1700, { read: "string", written: "string | number | bigint" }],
  [3802, unknown]
])

/** Arrays that are read without asking the catalog what their elements are. */
const elements = new Map<number, number>([
  [199, 114],
  [651, 650],
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, 20],
  [1017, 600],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1040, 829],
  [1041, 869],
  [1115, 1114],
  [1182, 1082],
  [1183, 1083],
  [1185, 1184],
  [1187, 1186],
  [1231, 1700],
  [1270, 1266],
  [2951, 2950],
  [3807, 3802],
  [3907, 3906]
])

const arrayOf = ({ read, written }: Words): Words => ({
  read: `ReadonlyArray<${read === undefined ? "unknown" : `${read} | null`}>`,
  written: written && `ReadonlyArray<${written} | null>`
})

const wordsOf = (oid: number, types: Types): Words => {
  // The program's own parser gives what it likes.
  if (types.hasParser(oid)) return { read: undefined, written: wordsOfBuiltIn(oid, types).written }
  return wordsOfBuiltIn(oid, types)
}

const wordsOfBuiltIn = (oid: number, types: Types): Words => {
  const scalar = scalars.get(oid)
  if (scalar !== undefined) return scalar
  const { base, element } = types.madeOf(oid)
  if (base !== undefined) return wordsOf(base, types)
  const of = elements.get(oid) ?? element
  // Everything else is text: what it was made of in the server is not told apart here.
  return of === undefined ? text : arrayOf(wordsOf(of, types))
}

/** Describes one statement. */
export class Describe extends Exchange {
  private parameters: ReadonlyArray<number> = []
  private fields: ReadonlyArray<Field> | undefined = undefined

  constructor(channel: Channel, private readonly statement: string, private readonly done: Done<Description>) {
    super(channel)
  }

  start(): void {
    writer.parse("", this.statement)
    writer.describeStatement("")
    writer.sync()
    this.channel.send(this)
  }

  override typed(types: ReadonlyArray<number>): void {
    this.parameters = types
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.fields = fields
  }

  ready(): void {
    if (this.error !== undefined) return this.fail(this.channel.refused(this.error, this.failing))
    const { types } = this.channel.session
    const oids = [...this.parameters, ...(this.fields ?? []).map(({ dataTypeID }) => dataTypeID)]
    const unseen = [...new Set(oids)].filter((oid) => types.decoder(oid, false) === undefined)
    if (unseen.length === 0) return this.tell()
    new Lookup(
      this.channel,
      unseen,
      undefined,
      this.statement,
      (failure) => failure === undefined ? this.tell() : this.fail(failure)
    ).start()
  }

  private tell(): void {
    const { types } = this.channel.session
    const columnOf = ({ columnID, dataTypeID, name, tableID }: Field): DescribedColumn => ({
      name,
      ...wordsOf(dataTypeID, types),
      origin: tableID === 0 || columnID === 0 ? undefined : { table: tableID, column: columnID },
      notNull: false
    })
    this.done(undefined, {
      parameters: this.parameters.map((oid) => wordsOf(oid, types).written),
      columns: this.fields?.map(columnOf)
    })
  }

  private get failing(): Failing {
    return { outcome: "NotSent", statement: this.statement, commit: false }
  }

  private fail(error: DbError): void {
    // Beside an error the value is not read.
    this.done(error, undefined as never)
  }

  lost(cause: Error | undefined): void {
    this.fail(this.channel.broken(cause, this.failing))
  }
}
