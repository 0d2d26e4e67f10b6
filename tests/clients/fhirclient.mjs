// fhirclient (npm, the SMART reference client in JavaScript): `node fhirclient.mjs BASE KEY` prints what it saw as JSON.
import { createRequire } from "node:module";

const [serverUrl, key] = process.argv.slice(2);
const smart = createRequire(import.meta.url)("fhirclient");
const request = { headers: {}, url: "/", query: {} };
const storage = { get: async () => undefined, set: async (_, value) => value, unset: async () => true };
const client = smart(request, {}, storage).client({ serverUrl, tokenResponse: { access_token: key, token_type: "Bearer" } });
const SYSTEM = "urn:x:number";
const seen = {};
const refused = async (asked) => {
  try {
    await asked;
    return "answered";
  } catch (error) {
    return error.statusCode ?? error.status;
  }
};

seen.version = await client.getFhirVersion();
seen.release = await client.getFhirRelease();
const patient = await client.create({
  resourceType: "Patient",
  identifier: [{ system: SYSTEM, value: "1" }],
  name: [{ family: "Okonkwo" }],
  birthDate: "1984-02-29",
});
await client.update({ ...patient, active: true });
await client.patch(`Patient/${patient.id}`, [{ op: "add", path: "/gender", value: "female" }]);
const read = await client.request(`Patient/${patient.id}`);
seen.read = [read.active, read.gender, read.meta.versionId];
seen.vread = (await client.request(`Patient/${patient.id}/_history/1`)).meta.versionId;
seen.history = (await client.request(`Patient/${patient.id}/_history`)).type;

for (let number = 0; number < 5; number += 1) {
  await client.create({
    resourceType: "Observation",
    status: "final",
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: `Patient/${patient.id}` },
    valueQuantity: { value: 70 + number, unit: "/min" },
  });
}
const pulses = await client.request(`Observation?subject=Patient/${patient.id}&_count=2`, {
  pageLimit: 0,
  flat: true,
  resolveReferences: ["subject"],
});
seen.walked = pulses.length;
seen.resolved = pulses[0].subject.identifier?.[0].value ?? pulses[0].subject.reference;
seen.counted = (await client.request("Observation?_summary=count")).total;
const included = await client.request(`Observation?_include=Observation:subject&subject=${patient.id}`);
seen.included = included.entry.filter((entry) => entry.search.mode === "include").length;

const bundle = (type, entry) => client.request({
  url: "",
  method: "POST",
  headers: { "content-type": "application/fhir+json" },
  body: JSON.stringify({ resourceType: "Bundle", type, entry }),
});
const urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";
const transaction = await bundle("transaction", [
  { fullUrl: urn, resource: { resourceType: "Patient", identifier: [{ system: SYSTEM, value: "2" }] }, request: { method: "POST", url: "Patient" } },
  { resource: { resourceType: "Condition", subject: { reference: urn } }, request: { method: "POST", url: "Condition" } },
]);
seen.transaction = transaction.entry.map((entry) => entry.response.status.slice(0, 3));
const batch = await bundle("batch", [
  { request: { method: "GET", url: `Patient/${patient.id}` } },
  { request: { method: "DELETE", url: "Condition/nobody" } },
]);
seen.batch = batch.entry.map((entry) => entry.response.status.slice(0, 3));

const [observation] = (await client.request("Observation?_count=1")).entry;
await client.delete(`Observation/${observation.resource.id}`);
seen.deleted = await refused(client.request(`Observation/${observation.resource.id}`));
seen.unknown = await refused(client.request("Patient/nobody"));
seen.invalid = await refused(client.create({ resourceType: "Patient", gender: "unknowable" }));

console.log(JSON.stringify(seen));
