/**
 * The migrations' lock, as each database has one.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { MigrationError } from "./MigrationError.js"

/** What one try to take the lock gave: the lock, or the name of its holder. */
export type Attempt = { readonly held: true } | {
  readonly held: false
  readonly holder: string
  /** What the holder's connection is doing, and since when. The lock outlives a process that was killed until that ends. */
  readonly doing?: string | undefined
}

/** A lock as a database has it. */
export interface Lock {
  readonly attempt: Effect.Effect<Attempt, SqlError | MigrationError>
  /** Frees it. What goes wrong here is mended by the end of the connection. */
  readonly release: Effect.Effect<void>
}
