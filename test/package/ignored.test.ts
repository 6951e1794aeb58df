/** What programs and the command leave behind in a folder is no part of its sources. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundleAll } from "../kit/bundle.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const programs = bundleAll(["first", "migrations"].map((name) => new URL(`../../examples/${name}.ts`, import.meta.url)))

it.scopedLive("is ignored by git", () =>
  Effect.gen(function*() {
    const cwd = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "dblive-ignored-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const run = (command: string, args: ReadonlyArray<string>) =>
      Effect.sync(() =>
        execFileSync(command, args, {
          cwd,
          encoding: "utf8",
          env: { PATH: process.env["PATH"], HOME: cwd, NODE_ENV: "development" }
        })
      )
    copyFileSync(join(root, ".gitignore"), join(cwd, ".gitignore"))
    yield* run("git", ["init", "-q"])
    for (const program of programs) yield* run(process.execPath, [program])
    // What is there while they run.
    for (const file of ["dblive.db-wal", "dblive.db-shm", "dblive.db-journal", "dblive.db-migrate"]) {
      writeFileSync(join(cwd, file), "")
    }
    assert.strictEqual(yield* run("git", ["status", "--porcelain"]), "?? .gitignore\n")
  }), 90_000)
