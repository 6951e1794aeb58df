/**
 * The types of one database: how each is read, and which are arrays, as its catalog says.
 */
import * as Pg from "pg"
import type { JsonNumbers, TypeParsers } from "../../../DbConfig.js"
import * as JsonText from "../JsonText.js"
import * as PgArray from "./array.js"
import { type Decode, decoderOf } from "./values.js"

// `pg` types the oid as an enumeration of the built-in types; it takes any.
const fromPg = Pg.types.getTypeParser as (oid: number, format: "text") => Decode

/** `pg` 8 binds `JSON.parse`; any other parser was set by the program. */
const isPlain = (parser: Decode): boolean => parser === JSON.parse || parser.name === "bound parse"

/** What `pg` gives for a type that it does not read: the text. */
const unread = fromPg(0xffff_fff0, "text")

/**
 * Built-in types that are read as text and are no arrays: not asked about. `int2vector` and `oidvector` have the category of
 * arrays, but are written otherwise.
 */
const scalars = new Set([
  18,
  19,
  22,
  24,
  27,
  28,
  29,
  30,
  32,
  142,
  194,
  269,
  325,
  601,
  602,
  603,
  604,
  628,
  650,
  705,
  774,
  790,
  829,
  869,
  1033,
  1083,
  1266,
  1560,
  1562,
  1790,
  2202,
  2203,
  2204,
  2205,
  2206,
  2249,
  2275,
  2276,
  2277,
  2278,
  2283,
  2950,
  2970,
  3220,
  3361,
  3402,
  3614,
  3615,
  3642,
  3734,
  3769,
  3904,
  3906,
  3908,
  3910,
  3912,
  3926,
  4072,
  4089,
  4096,
  4191,
  4451,
  4532,
  4533,
  4534,
  4535,
  4536,
  5017,
  5038,
  5069
])

/** What the catalog says of a type: what its elements are, or what it is a domain of; neither for any other. */
interface Known {
  readonly element: number | undefined
  readonly base: number | undefined
  readonly delimiter: string
}

/** Types that a program makes and drops as it goes must not fill the memory. */
const mostKnown = 10_000

/**
 * What one connection knows of the types of its database. A type that is made again has another oid, so what is known stays true.
 */
export class Types {
  private readonly known = new Map<number, Known>()
  /** How JSON is read, where `pg` was not told otherwise by the program. */
  private readonly json = new Map<number, Decode>()
  /** Types that the catalog did not show when it was asked, while the answer that asked is read. */
  private readonly unseen = new Set<number>()

  constructor(
    /** Parsers of the program's own. */
    private readonly parsers: TypeParsers | undefined,
    numbers: JsonNumbers
  ) {
    const json: Decode = (text) => JsonText.parse(text, numbers, true)
    // `jsonb` is written by the server, which knows no exponents.
    const jsonb: Decode = (text) => JsonText.parse(text, numbers, false)
    if (isPlain(fromPg(114, "text"))) this.json.set(114, json)
    if (isPlain(fromPg(3802, "text"))) this.json.set(3802, jsonb)
    if (fromPg(199, "text") === fromPg(3807, "text")) {
      this.json.set(199, (text) => PgArray.parse(text, json)).set(3807, (text) => PgArray.parse(text, jsonb))
    }
  }

  /** How a type is read; `undefined` where the catalog has to be asked first. */
  decoder(oid: number, safeIntegers: boolean): Decode | undefined {
    const own = decoderOf(oid, safeIntegers, this.chosen(oid) ?? this.json.get(oid))
    if (own !== undefined) return own
    const given = fromPg(oid, "text")
    if (given !== unread || scalars.has(oid)) return given
    const known = this.known.get(oid)
    if (known === undefined) return undefined
    if (known.base !== undefined) return this.decoder(known.base, safeIntegers)
    if (known.element === undefined) return given
    const element = this.decoder(known.element, safeIntegers)
    return element && ((text) => PgArray.parse(text, element, known.delimiter))
  }

  /** Whether the program reads a type by a parser of its own. */
  hasParser(oid: number): boolean {
    return this.chosen(oid) !== undefined
  }

  /** What a type is made of, as far as that was asked. */
  madeOf(oid: number): Pick<Known, "element" | "base"> {
    return this.known.get(oid) ?? { element: undefined, base: undefined }
  }

  /** The program's parser of a type: one of `pg`'s is what `pg.types` answers with for types that the program leaves alone. */
  private chosen(oid: number): Decode | undefined {
    const parser = this.parsers?.getTypeParser(oid, "text")
    return typeof parser !== "function" || parser === fromPg(oid, "text") ? undefined : parser
  }

  /** Asks for the types of these columns, with what they are made of. */
  question(oids: ReadonlyArray<number>): string {
    const columns = "t.oid, e.oid AS element, nullif(t.typbasetype, 0) AS base, e.typdelim"
    const elements = "LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid"
    return `WITH RECURSIVE known (oid, element, base, delimiter) AS (SELECT ${columns} FROM pg_catalog.pg_type t ${elements} ` +
      `WHERE t.oid IN (${oids.join(", ")}) UNION SELECT ${columns} FROM known k JOIN pg_catalog.pg_type t ` +
      `ON t.oid = coalesce(k.element, k.base) ${elements}) SELECT oid, element, base, delimiter FROM known`
  }

  /** Whether what is known holds for the answer at hand only. */
  get isProvisional(): boolean {
    return this.unseen.size > 0
  }

  /** A type that an old snapshot does not show, or that is dropped already, is asked about again the next time. */
  forgetUnseen(): void {
    for (const oid of this.unseen) this.known.delete(oid)
    this.unseen.clear()
  }

  /** Remembers the answer to {@link question}. What was not found is read as text, until {@link forgetUnseen}. */
  learn(oids: ReadonlyArray<number>, rows: ReadonlyArray<ReadonlyArray<string | null>>): void {
    if (this.known.size > mostKnown) this.known.clear()
    const numbers = rows.map((row) => row.slice(0, 3).map((oid) => oid === null ? undefined : Number(oid)))
    for (const oid of [...oids, ...numbers.flat()]) {
      if (oid !== undefined) this.known.set(oid, { element: undefined, base: undefined, delimiter: "," })
    }
    for (let i = 0; i < rows.length; i++) {
      const [oid, element, base] = numbers[i]!
      this.known.set(oid!, { element, base, delimiter: rows[i]![3] ?? "," })
    }
    for (const oid of oids) {
      if (!numbers.some(([found]) => found === oid)) this.unseen.add(oid)
    }
  }

  /** What stands between the elements of an array of this type, as far as it is known. */
  delimiter(oid: number | undefined): string {
    return oid === boxes ? ";" : (oid === undefined ? undefined : this.known.get(oid)?.delimiter) ?? ","
  }
}

/** `box[]`: the only built-in type whose elements hold commas. */
const boxes = 1020
