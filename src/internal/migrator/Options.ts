/**
 * What operations take and give.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Source } from "./Migration.js"

/**
 * What happens during an operation, to show progress.
 *
 * @since 0.1.0
 * @category models
 */
export type MigrationEvent =
  | { readonly _tag: "Waiting"; readonly holder: string }
  | {
    readonly _tag: "Started"
    readonly script: string
    readonly index: number
    readonly total: number
    /** Whether it is one transaction with its row in the history, so that all of it is undone when it is interrupted. */
    readonly transaction: boolean
  }
  | { readonly _tag: "Statement"; readonly script: string; readonly count: number; readonly line: number }
  | {
    readonly _tag: "Ended"
    readonly script: string
    readonly index: number
    readonly total: number
    readonly millis: number
  }

/**
 * How migrations are found and run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** Where they come from: `fromDirectory`, `fromRecord`, `fromGlob`. */
  readonly migrations: Source<R>
  /** The history table, `name` or `schema.name`. Defaults to `schema_version`. */
  readonly table?: string | undefined
  /** The highest version to run; `undo`: the lowest version to undo. Defaults to none: all, and the latest one. */
  readonly target?: string | undefined
  /** Runs versions that arrive after a higher one was applied. Defaults to false: they are refused. */
  readonly outOfOrder?: boolean | undefined
  /** Values of `${name}`. They are shown by `plan`: no place for secrets. Defaults to none. */
  readonly placeholders?: Readonly<Record<string, string>> | undefined
  /** The longest one statement may run; 0: no limit. Defaults to 0. */
  readonly statementTimeout?: Duration.DurationInput | undefined
  /**
   * The longest wait for a lock of the database; 0: no limit. Defaults to 10 seconds in a transaction, because what
   * waits for a table makes every statement behind it wait, and to 0 without one.
   */
  readonly lockTimeout?: Duration.DurationInput | undefined
  /** The longest wait for another runner. Defaults to 5 minutes. */
  readonly lockWait?: Duration.DurationInput | undefined
  /**
   * `session`: one runner at a time, by a lock that the database holds for its session (SQLite: the operating system for a file). `none`:
   * without one, for servers that speak PostgreSQL's protocol and have no advisory locks. Run migrations from one place at a time then: of two
   * runners one fails. What commits together with its row in the history is still applied once. Defaults to `session`.
   *
   * @since 0.2.0
   */
  readonly lock?: "session" | "none" | undefined
  /** The user that applied it, for the history. Defaults to the database's user (SQLite: that of the process). */
  readonly installedBy?: string | undefined
  /** Told what happens. */
  readonly onEvent?: ((event: MigrationEvent) => Effect.Effect<void>) | undefined
}

/**
 * What `run` did.
 *
 * @since 0.1.0
 * @category models
 */
export interface Applied {
  readonly script: string
  readonly version: string | undefined
  readonly description: string
  readonly millis: number
}

/**
 * What a run did.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunResult {
  /** In order; empty when there was nothing to do. */
  readonly applied: ReadonlyArray<Applied>
  /** The highest version applied, now. */
  readonly current: string | undefined
}

/**
 * A migration as `plan` shows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Planned {
  readonly script: string
  readonly version: string | undefined
  readonly description: string
  readonly transaction: boolean
  /** The SQL, placeholders replaced; `undefined` for an effect and for a file too large to be shown. */
  readonly statements: ReadonlyArray<{ readonly line: number; readonly text: string }> | undefined
}
