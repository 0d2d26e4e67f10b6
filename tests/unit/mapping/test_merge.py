"""A40: who survives, who goes."""

import pytest
from tests.mapping_messages import PID, adt, every

from chartwire.core.errors import MappingError
from chartwire.mapping import Merge, PatientKey


def test_a_merge_names_the_survivor_of_pid_3_and_the_loser_of_mrg_1():
    conversion = adt(PID, "MRG|999^^^HOSP^MR~8^^^HOSP^PI", event="A40")
    assert conversion.merges == [
        Merge((PatientKey("HOSP", "MR", "12345"),), (PatientKey("HOSP", "MR", "999"), PatientKey("HOSP", "PI", "8")))
    ]


def test_repeated_patient_groups_are_one_merge_each_in_order():
    second = PID.replace("12345", "222")
    conversion = adt(PID, "MRG|1^^^HOSP^MR", second, "MRG|2^^^HOSP^MR", event="A40")
    assert [merge.loser[0].value for merge in conversion.merges] == ["1", "2"]
    assert [patient.key for patient in every(conversion, "Patient")] == ["MR|HOSP|12345", "MR|HOSP|222"]


@pytest.mark.parametrize("segments", [(PID,), (PID, "MRG|"), (PID, "MRG|UNKNOWN^^^HOSP^MR")])
def test_a_merge_without_a_usable_loser_is_refused_with_its_field(segments):
    with pytest.raises(MappingError) as refused:
        adt(*segments, event="A40")
    assert (refused.value.code, refused.value.field) == ("merge_identifier_missing", "MRG-1")


def test_other_events_merge_nothing():
    assert adt(PID, "MRG|999^^^HOSP^MR", event="A08").merges == []
