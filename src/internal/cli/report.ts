/**
 * How a command ends: what it writes, and the exit code.
 */
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { DbError } from "../../DbError.js"
import { isDbError } from "../../DbError.js"
import { faultsOf } from "../effect/configFaults.js"
import { MigrationError } from "../migrator/MigrationError.js"
import { errorText } from "./style.js"
import { toJson } from "./text.js"

/** The exit codes, as the help describes them. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  pendingOrInvalid: 3,
  /** 128 and the number of the signal, as shells have it. */
  interrupted: { SIGINT: 130, SIGTERM: 143 }
} as const

/** The signal that interrupts the program, once it has come. */
export const received: { signal: keyof typeof exitCodes.interrupted | undefined } = { signal: undefined }

/** The command was called in a way that cannot be meant. */
export class UsageError {
  readonly _tag = "UsageError"
  constructor(readonly message: string) {}
}

/** The command did its work, and its answer is "no". */
export class Answer {
  readonly _tag = "Answer"
  constructor(readonly code: number, readonly message: string) {}
}

/** What a command may fail with. */
export type Failure = MigrationError | DbError | ConfigError.ConfigError | UsageError | Answer

/** Faults of the migrations themselves: nothing was tried. */
const invalid = new Set(["Parse", "Checksum", "Missing", "DuplicateVersion", "OutOfOrder", "Pending"])

/** The exit code that stands for a failure; `checking`: the command only looks whether all is well. */
const codeOf = (error: unknown, isChecking: boolean): number =>
  error instanceof UsageError
    ? exitCodes.usage
    : error instanceof Answer
    ? error.code
    : error instanceof MigrationError && (invalid.has(error.reason) || (isChecking && error.reason === "Failed"))
    ? exitCodes.pendingOrInvalid
    : exitCodes.failed

/** Each fault on a line of its own. */
export const faultLines = (error: ConfigError.ConfigError): string =>
  faultsOf(error).map(({ message, path }) => path.length === 0 ? message : `${path.join(".")}: ${message}`).join("\n")

const messageOf = (error: unknown): string =>
  ConfigError.isConfigError(error)
    ? faultLines(error)
    : error instanceof UsageError || error instanceof Answer || error instanceof Error
    ? error.message
    : String(error)

/** An error for programs: its fields, without the driver's own error, which is of any shape. */
const jsonOf = (error: unknown): unknown => {
  if (error instanceof MigrationError || isDbError(error)) {
    // A TaggedError's own fields.
    const { cause: _, ...fields } = { ...(error as object) } as { readonly cause?: unknown }
    return { ...fields, message: error.message }
  }
  return {
    _tag: error instanceof UsageError || error instanceof Answer
      ? error._tag
      : ConfigError.isConfigError(error)
      ? "ConfigError"
      : "Error",
    message: messageOf(error)
  }
}

/** Says a failure: on standard error, or as the one JSON document on standard output. */
export const failed = (wantsJson: boolean, error: unknown): Effect.Effect<void> =>
  wantsJson
    ? Console.log(toJson({ ok: false, error: jsonOf(error) }))
    : Console.error(errorText(messageOf(error)))

/** Says a fault of ours, with everything that helps to find it. */
export const defect = (wantsJson: boolean, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.zipRight(
    Console.error(Cause.pretty(cause)),
    wantsJson
      ? Console.log(toJson({ ok: false, error: { _tag: "Defect", message: messageOf(Cause.squash(cause)) } }))
      : Effect.void
  )

/**
 * Runs a command's work and says its end: the value by `show`, or as JSON; a failure on standard error, or as JSON.
 * Gives the exit code.
 */
export const ending = <A, R>(
  work: Effect.Effect<A, Failure, R>,
  options: {
    readonly json: boolean
    readonly show: (value: A) => string
    readonly toJson: (value: A) => object
    readonly code?: (value: A) => number
    readonly checking?: boolean
    /** What an interrupt has undone, and what it has not. */
    readonly undone?: Effect.Effect<string, never, R>
  }
): Effect.Effect<number, never, R> =>
  // What is said of an interrupt is said after it.
  Effect.uninterruptibleMask((restore) =>
    Effect.matchCauseEffect(restore(work), {
      onSuccess: (value) => {
        const code = options.code?.(value) ?? exitCodes.done
        const text = options.json
          ? toJson({ ok: code === exitCodes.done, ...options.toJson(value) })
          : options.show(value)
        return Effect.as(text === "" ? Effect.void : Console.log(text), code)
      },
      onFailure: (cause) => {
        if (Cause.isInterruptedOnly(cause)) {
          const code = exitCodes.interrupted[received.signal ?? "SIGINT"]
          return Effect.flatMap(options.undone ?? Effect.succeed("nothing was changed"), (undone) =>
            Effect.as(
              options.json
                ? Console.log(toJson({ ok: false, error: { _tag: "Interrupted", message: undone } }))
                : Console.error(errorText(`interrupted: ${undone}`)),
              code
            ))
        }
        const failure = Cause.failureOption(cause)
        if (Option.isNone(failure)) {
          return Effect.as(defect(options.json, cause), exitCodes.failed)
        }
        const error = failure.value
        return Effect.as(failed(options.json, error), codeOf(error, options.checking ?? false))
      }
    })
  )
