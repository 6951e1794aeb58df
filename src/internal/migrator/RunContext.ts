/**
 * What a run of migrations has at hand.
 */
import type { Dialect } from "@effect/sql/Statement"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TransactionStatus } from "../../driver/Driver.js"
import type { History } from "./History.js"
import type { Migration } from "./Migration.js"
import type { Script } from "./Script.js"
import type { SessionState } from "./SessionState.js"

/** What migrations ask of the connection, beside running statements. */
export interface Access {
  /** How the session's transaction stands, by the database's own word. */
  readonly status: Effect.Effect<TransactionStatus>
  /** Tells the text of each statement before it is sent, until the scope closes. */
  readonly watch: (listener: (text: string) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** What all migrations of a run share. */
export interface RunContext {
  readonly database: string
  readonly dialect: Dialect
  readonly history: History
  readonly access: Access
  /** What the session was when the run began. */
  readonly session: SessionState
  /** 0: none. */
  readonly statementTimeout: Duration.Duration
  /** 0: none; `undefined`: not chosen, so that what runs without a transaction is not limited. */
  readonly lockTimeout: Duration.Duration | undefined
  /** Told after each statement of SQL: how many have run. */
  readonly onStatement: (count: number, line: number) => Effect.Effect<void>
}

/** A migration that was read and may run. */
export interface ReadyMigration {
  readonly migration: Migration
  /** `undefined` for an effect. */
  readonly script: Script | undefined
  /** Whether it and its row are one transaction. */
  readonly transactional: boolean
}
