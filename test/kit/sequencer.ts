/**
 * The order of the test files: those that take longest come first, so that none of them is left to run alone at the end. A
 * machine that has run the tests before knows by itself.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node"

const longest = [
  "conformance/pgbouncer",
  "package/install",
  "examples",
  "migrator/concurrentProcesses",
  "conformance/pg",
  "package/firstHour",
  "package/drivers",
  "package/package",
  "driver/mssql/serverByUrl",
  "driver/sqlite/conformance",
  "conformance/mssql",
  "migrator/sessionState",
  "conformance/sqlite",
  "weight/minorCollections",
  "dbtest/layers",
  "package/runtimes",
  "http/statusPage",
  "driver/sqlite/killedProcess",
  "cli/cli",
  "dbtest/flakyBesideServers",
  "conformance/mysql",
  "exampleService",
  "DbConfig.secrets"
]

const rank = ({ moduleId }: TestSpecification): number => {
  const index = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return index < 0 ? longest.length : index
}

export default class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
