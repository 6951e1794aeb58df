/**
 * A logger of a program's own.
 */
import type * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

/** What is logged. */
export interface Entry {
  readonly annotations: Iterable<readonly [string, unknown]>
  readonly cause: Cause.Cause<unknown>
  /** In small letters: `trace`, `debug`, `info`, `warn`, `error`, `fatal`. */
  readonly level: string
  readonly message: unknown
}

/** In the place of Effect's own logger, one that writes to standard error. */
export const onConsoleError = (format: (entry: Entry) => string): Layer.Layer<never> =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.withConsoleError(
      Logger.make(({ annotations, cause, logLevel, message }) =>
        format({ annotations, cause, level: logLevel.label.toLowerCase(), message })
      )
    )
  )
