/**
 * A logger of a program's own.
 */
import type * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

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
  Logger.layer([
    Logger.withConsoleError(
      Logger.make(({ cause, fiber, logLevel, message }) =>
        format({
          annotations: Object.entries(fiber.getRef(References.CurrentLogAnnotations)),
          cause,
          level: logLevel.toLowerCase(),
          message
        })
      )
    )
  ])
