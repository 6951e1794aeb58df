/**
 * All commands.
 */
import * as Command from "@effect/cli/Command"
import { baseline, create, migrate, plan, repair, status, undo, validate } from "./migrations.js"
import { health, info, ping, query } from "./questions.js"

/** The whole command line. */
export const dblive = Command.make("dblive").pipe(
  Command.withDescription(
    "Migrations and questions for the databases of a program that uses dblive."
  ),
  Command.withSubcommands([migrate, status, plan, validate, repair, baseline, undo, create, health, info, ping, query])
)
