/**
 * What an interrupt has undone.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as DbMigrator from "../../DbMigrator.js"
import type { MigrationEvent } from "../migrator/Options.js"
import type { Common } from "./command.js"
import { migratorOptions } from "./command.js"
import type { Opened } from "./database.js"

/** The longest look at the history after an interrupt. */
const lookLimit = "5 seconds"

/** What migrations are read with. */
type Files = FileSystem.FileSystem | Path.Path

/** What was under way, as events tell it. */
export interface Course {
  readonly hear: (event: MigrationEvent) => void
  /** What became of it, in words. */
  readonly undone: Effect.Effect<string, never, Files>
}

/** Whether the history has it as applied; `undefined` when that cannot be seen now. */
const isApplied = (
  { layer, tag }: Opened,
  given: Common,
  script: string
): Effect.Effect<boolean | undefined, never, Files> =>
  DbMigrator.status(tag, migratorOptions(given)).pipe(
    Effect.map(({ migrations }) => migrations.some((info) => info.script === script && info.state === "success")),
    Effect.provide(layer),
    // It is said where an interrupt is masked; it must not keep the program.
    Effect.interruptible,
    Effect.timeout(lookLimit),
    Effect.catchAllCause(() => Effect.succeed(undefined))
  )

/** Follows the run of a command, so that its interrupt can say what has been undone. `kind`: what is run. */
export const follow = (opened: Opened, given: Common, kind: "migrate" | "undo"): Course => {
  const ended: Array<string> = []
  let current: { readonly script: string; readonly transaction: boolean } | undefined
  const done = () =>
    ended.length === 0 ? "" : `; ${kind === "migrate" ? "applied" : "undone"} before it: ${ended.join(", ")}`
  const outcome = (script: string, isTransaction: boolean): Effect.Effect<string, never, Files> =>
    !isTransaction
      ? Effect.succeed(
        `${script} was stopped, and it runs without a transaction: what it has done stays; \`dblive status\` shows how far it came`
      )
      : kind === "undo"
      ? Effect.succeed(`${script} was stopped, and is rolled back unless it was being committed; see \`dblive status\``)
      : Effect.map(isApplied(opened, given, script), (isApplied) =>
        isApplied === undefined
          ? `${script} was stopped, and is rolled back unless it was being committed; see \`dblive status\``
          : isApplied
          ? `${script} had been committed already`
          : `${script} was rolled back`)
  return {
    hear: (event) => {
      switch (event._tag) {
        case "Started":
          current = event
          return
        case "Ended":
          current = undefined
          ended.push(event.script)
          return
        case "Statement":
        case "Waiting":
          return
      }
    },
    undone: Effect.suspend(() =>
      current !== undefined
        ? Effect.map(outcome(current.script, current.transaction), (text) => `${text}${done()}`)
        : Effect.succeed(ended.length === 0 ? "nothing was changed" : `nothing was under way${done()}`)
    )
  }
}
