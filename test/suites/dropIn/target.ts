/** What the suite has to know of a database beyond its layer. */
import * as Reactivity from "@effect/experimental/Reactivity"
import type * as SqlClient from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** Renames identifiers on their way into SQL, and columns on their way back. */
export interface Transforms {
  readonly transformQueryNames: (name: string) => string
  readonly transformResultNames: (name: string) => string
}

export interface DropIn {
  readonly name: string
  /** A suite that needs this database; skipped, with the reason in its name, where there is none. */
  readonly describe: (name: string, body: () => void) => void
  /** The client of an empty database of its own, which ends with the layer. */
  readonly layer: (transforms?: Transforms) => Layer.Layer<SqlClient.SqlClient, unknown>
  readonly dialect: "sqlite" | "pg" | "mysql"
  /** Words of the dialect. */
  readonly words: {
    /** A column that numbers its rows. */
    readonly id: string
    readonly text: string
    /** A query of `n` rows with one column `x`, from 1. */
    readonly series: (n: number) => string
    /** How a parameter is written: the first of the statement. */
    readonly placeholder: string
    /** Quotes an identifier. */
    readonly quote: (name: string) => string
  }
  /** Whether INSERT and UPDATE give rows with RETURNING. */
  readonly returning: { readonly insert: boolean; readonly update: boolean }
  /** What `raw` of an INSERT of two rows holds. */
  readonly rawOfInsert: Readonly<Record<string, unknown>>
  /** What of `@effect/sql`'s event log has statements for this dialect. */
  readonly eventLog: { readonly journal: boolean; readonly server: boolean }
}

/** Renames as programs do: `createdAt` in the program is `created_at` in the database. */
export const snake: Transforms = {
  transformQueryNames: (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  transformResultNames: (name) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Runs a test on a database of its own. */
export const test = <E>(
  target: DropIn,
  name: string,
  body: Effect.Effect<unknown, E, SqlClient.SqlClient | Reactivity.Reactivity | Scope.Scope>,
  transforms?: Transforms
): void => {
  // Its scope ends before the layer, which waits for what is reserved.
  it.live(name, () => Effect.provide(Effect.scoped(body), Layer.merge(target.layer(transforms), Reactivity.layer)))
}
