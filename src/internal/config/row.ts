/**
 * What a row of the table of settings is made of.
 */
import type { Kind } from "./kinds.js"

/** The columns of defaults. */
export type Preset = "production" | "development" | "test worker"

/** One setting. `A` is the decoded value. */
export interface Row<A> {
  /** Its path in the options, such as `pool.size`: that of its place in the table. */
  readonly option: string
  /** What follows `DATABASE_`; the first is the name, the others are accepted too. Empty where it is set in code alone. */
  readonly suffixes: ReadonlyArray<string>
  readonly kind: Kind<A>
  /** Values, or words for what depends on more than the preset. */
  readonly defaults: Readonly<Record<Preset, A>> | string
  readonly meaning: string
  readonly example: string
  /** Its value is never shown. */
  readonly secret: boolean
  /** The variable may be given as `..._FILE`: the path of a file that holds the value. */
  readonly file: boolean
  /** Says which database is meant: belongs to the URL, and is not looked for below the place of the URL. */
  readonly address: boolean
  /** May be given once for all databases of an environment: what stands in a group. */
  readonly shared: boolean
}

/** A row whose defaults are values. */
export interface Tuned<A> extends Row<A> {
  readonly defaults: Readonly<Record<Preset, A>>
}

/** A row without a default of its own. */
export interface Given<A> extends Row<A> {
  readonly defaults: string
}

interface Parts<A> {
  readonly kind: Kind<A>
  readonly meaning: string
  readonly example?: string
  readonly secret?: boolean
  readonly file?: boolean
  readonly address?: boolean
}

const row = <A, D>(suffixes: ReadonlyArray<string>, { defaults, ...parts }: Parts<A> & { readonly defaults: D }) => ({
  option: "",
  suffixes,
  example: "",
  secret: false,
  file: false,
  address: false,
  shared: false,
  ...parts,
  defaults
})

const isTriple = <A>(u: A | readonly [A, A, A]): u is readonly [A, A, A] => Array.isArray(u)

/** A row with one value as its default, or with those of production, development and a test worker. */
export const tuned = <A>(
  suffixes: ReadonlyArray<string>,
  { defaults, ...parts }: Parts<A> & { readonly defaults: NoInfer<A> | readonly [NoInfer<A>, NoInfer<A>, NoInfer<A>] }
): Tuned<A> => {
  const [production, development, worker] = isTriple(defaults) ? defaults : [defaults, defaults, defaults]
  return row(suffixes, { ...parts, defaults: { production, development, "test worker": worker } })
}

/** A row whose default is told in words. */
export const given = <A>(
  suffixes: ReadonlyArray<string>,
  parts: Parts<A> & { readonly defaults: string }
): Given<A> => row(suffixes, parts)

/** The rows that options need: one for each property, of a kind whose values the property takes. `G`: groups of options. */
export type RowsOf<O, G> = {
  readonly [K in keyof O]-?: RowOrGroup<Exclude<O[K], undefined>, Exclude<O[K], false | undefined>, G>
}

/** A map of names that are free (`string extends keyof`) is one option. */
type RowOrGroup<A, B, G> = string extends keyof B ? Row<A> : B extends G ? RowsOf<B, G> : Row<A>

/** The values that the rows decode to. */
export type ValuesOf<T> = {
  readonly [K in keyof T]: T[K] extends Tuned<infer A> ? A
    : T[K] extends Given<infer A> ? A | undefined
    : ValuesOf<T[K]>
}

/** A table, or a group in it. */
export interface Table {
  readonly [key: string]: Row<unknown> | Table
}

export const isRow = (entry: Row<unknown> | Table): entry is Row<unknown> => "kind" in entry

const mapRows = (table: Table, use: (row: Row<unknown>, option: string) => unknown, path = ""): object =>
  Object.fromEntries(
    Object.entries(table).map(([key, entry]) => [
      key,
      isRow(entry) ? use(entry, path + key) : mapRows(entry, use, `${path}${key}.`)
    ])
  )

/** The table, each row with its path. */
export const named = <T extends Table>(table: T): T =>
  // The same rows in the same places.
  mapRows(table, (row, option) => ({ ...row, option, shared: option.includes(".") })) as T

/** What each row stands for. */
export const valuesOf = <T extends Table>(table: T, valueOf: <A>(row: Row<A>) => A | undefined): ValuesOf<T> =>
  // In the place of each row a value of its kind.
  mapRows(table, valueOf) as ValuesOf<T>

/** All rows, in the order of the table. */
export const rowsOf = (table: Table): ReadonlyArray<Row<unknown>> =>
  Object.values(table).flatMap((entry) => isRow(entry) ? [entry] : rowsOf(entry))
