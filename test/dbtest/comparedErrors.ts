/** What is compared of an injected error and a real one. */
import { Effect, type Layer, type Scope } from "effect"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"

/** Without the numbers of ports, processes and transactions, and without the table's name, which an injected error cannot know. */
const comparable = (text: string): string => text.replace(/\b\d{5,}\b/g, "N").replace(/ in table '\w+'/, " in table")

/** Everything of an error that a program can go by, and what a person reads. */
export const compared = (error: DbError): { readonly cause: unknown; readonly [field: string]: unknown } => ({
  ...error,
  tag: error._tag,
  isTransient: error.isTransient,
  message: comparable(error.message),
  what: comparable(error.what),
  detail: "detail" in error ? error.detail?.replace(/\d+/g, "N") : undefined,
  stack: undefined,
  cause: Object.fromEntries(
    ["name", "severity", "code", "errno", "syscall", "sqlState"].map((key) => [
      key,
      (error.cause as Record<string, unknown>)?.[key]
    ])
  )
})

export const update = Db.query("UPDATE note SET body = body WHERE id = 1")
export const updateRow = (id: number) => Db.query("UPDATE note SET body = body WHERE id = :id", { id })
export const inTransaction = Effect.flip(update.pipe(Db.transaction))

/** Runs an effect on a database that is opened for it. */
export const on = <A, E, LE>(layer: Layer.Layer<Db, LE>, effect: Effect.Effect<A, E, Db | Scope.Scope>) =>
  Effect.scoped(effect).pipe(Effect.provide(layer))

/** How a database is not opened. */
export const refusal = <LE>(layer: Layer.Layer<Db, LE>) =>
  // What fails is typed, as everything that a database can cause.
  Effect.flip(on(layer, Db.query("SELECT 1"))) as Effect.Effect<DbError, unknown>
