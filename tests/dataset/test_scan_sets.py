"""Every scan set on a small tree with its real names and oddities."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dataset.scans import LoadedScan, Scan, find_scans, load_scan
from dataset.scans.loading import FACING_UNKNOWN
from render.errors import ScanError
from tests.dataset.scan_trees import (
    ABOUT_Y,
    Y_DOWN,
    Z_UP,
    assert_stands,
    points,
    red_of,
    write_obj,
    write_picture,
    write_ply,
)
from tests.dataset.smplx_models import parameters, write_pickle
from tests.scenes import body


def found(root: Path, layout: str = "auto") -> dict[str, Scan]:
    return {scan.scan_id: scan for scan in find_scans(root, layout)}


def loaded(root: Path, layout: str = "auto") -> dict[str, LoadedScan]:
    return {name: load_scan(scan) for name, scan in found(root, layout).items()}


def test_renderpeople_packs_samples_and_repacked_scans(tmp_path: Path) -> None:
    cm, to_the_left = points(100.0), points(100.0, ABOUT_Y[90])
    wrong = "mtllib C:\\Users\\x\\gone.mtl\nusemtl a"
    dennis = tmp_path / "rp_dennis_posed_004_OBJ"
    write_obj(dennis / "rp_dennis_posed_004_100k.OBJ", cm, wrong)
    write_obj(dennis / "rp_dennis_posed_004_200k.obj", cm * 3.0)
    write_picture(dennis / "tex" / "rp_dennis_posed_004_dif_2k.jpg", 20)
    write_picture(dennis / "tex" / "rp_dennis_posed_004_dif_8k.JPG", 80)
    write_picture(dennis / "tex" / "rp_dennis_posed_004_norm_8k.jpg", 120)
    write_obj(tmp_path / "rp_wendy_posed_002_200k.obj", to_the_left)
    write_picture(tmp_path / "tex" / "rp_wendy_posed_002_dif.jpg", 60)
    maya = tmp_path / "rp_wendy_posed_009_MAYA" / "rp_wendy_posed_009_MAYA"
    write_obj(maya / "scenes" / "rp_wendy_posed_009_100k.obj", cm)
    folder = maya / "sourceimages" / "rp_wendy_posed_009"
    write_picture(folder / "rp_wendy_posed_009_dif_2k.jpg", 40)
    repacked = tmp_path / "rp_carla_posed_003"
    write_obj(repacked / "rp_carla_posed_003.obj", points(), "mtllib material0.mtl\nusemtl a")
    write_picture(repacked / "material0.png", 250, size=2)
    write_picture(repacked / "rp carla.jpg", 100)
    (dennis / "._rp_dennis_posed_004_100k.obj").write_text("junk")
    write_picture(tmp_path / "rp_gone_posed_001_OBJ" / "tex" / "rp_gone_posed_001_dif.jpg", 90)

    scans = loaded(tmp_path)
    assert {name: red_of(scan) for name, scan in scans.items()} == {
        "rp_carla_posed_003": 100,
        "rp_dennis_posed_004": 80,
        "rp_wendy_posed_002": 60,
        "rp_wendy_posed_009": 40,
    }
    for scan in scans.values():
        assert_stands(scan)
    assert {scan.scan.subject for scan in scans.values()} == {"rp_carla", "rp_dennis", "rp_wendy"}
    # The packaged corrections know that this one has to be turned.
    assert scans["rp_wendy_posed_002"].scan.stance.yaw_deg == -90.0


def test_thuman2_in_two_conventions_and_without_parameters(tmp_path: Path) -> None:
    scans, fits = tmp_path / "model", tmp_path / "THUman2.0 Smpl-X Paras"
    about_y = np.array([[0.0, np.pi / 2, 0.0]])
    # The model's origin is at the chest: 1.2 m above the soles.
    chest = np.array([0.0, 1.2, 0.0])
    for name, scale, offset in (("0000", 0.4, (7.0, -3.0, 2.0)), ("0504", 0.8, (0.5, 0.2, 0.1))):
        write_obj(scans / name / f"{name}.obj", points(scale, ABOUT_Y[90], offset))
    first = {"scale": np.array(0.4), "translation": chest * 0.4 + (7.0, -3.0, 2.0)}
    second = {"scale": np.array([0.8]), "transl": [chest + np.array((0.5, 0.2, 0.1)) / 0.8]}
    write_pickle(fits / "0000" / "smplx_param.pkl", parameters(12, global_orient=about_y, **first))
    write_pickle(
        tmp_path / "smplx" / "0504" / "smplx_param.pkl",
        parameters(45, global_orient=about_y, **second),
    )
    write_obj(scans / "0505" / "0505.obj", points(0.5))
    write_obj(scans / "2444" / "2444.obj", points(0.5))
    write_obj(fits / "0000" / "mesh_smplx.obj", points(0.1))
    write_pickle(fits / "0003" / "smplx_param.pkl", parameters(12))  # its scan is missing
    for name in ("0000", "0504", "0505", "2444"):
        write_picture(scans / name / "material0.jpeg", 70)
        (scans / name / "material0.mtl").write_text("newmtl material0\nmap_Kd material0.jpeg\n")

    result = loaded(tmp_path)
    assert {name: scan.scan.split for name, scan in result.items()} == {
        "0000": "train",
        "0504": "test",
        "0505": "val",
        "2444": None,
    }
    turned = ABOUT_Y[90].T * 250.0
    assert result["0000"].unit_cm == pytest.approx(250.0)
    assert_stands(result["0000"], turned @ (7.0, -3.0, 2.0))
    assert_stands(result["0504"], turned / 2.0 @ (0.5, 0.2, 0.1))
    assert "facing taken from the body parameters" in result["0504"].notes
    bare = result["0505"]
    assert np.ptp(bare.mesh.vertices[:, 1]) * bare.unit_cm == pytest.approx(180.0)
    assert any("facing is not known" in note for note in bare.notes)
    assert red_of(bare) == 70


def test_parameters_that_do_not_fit_their_scan_are_refused_in_a_sentence(tmp_path: Path) -> None:
    write_obj(tmp_path / "0001" / "0001.obj", points(0.5))
    far = {"scale": np.array(0.5), "translation": np.array([0.0, 1.2, 0.0])}
    write_pickle(tmp_path / "fits" / "0001" / "smplx_param.pkl", parameters(12, **far))
    (scan,) = find_scans(tmp_path)
    with pytest.raises(ScanError, match=r"smplx_param\.pkl: expected a body at most 100 cm from"):
        load_scan(scan)
    small = far | {"scale": np.array(0.1)}
    write_pickle(tmp_path / "fits" / "0001" / "smplx_param.pkl", parameters(12, **small))
    with pytest.raises(ScanError, match="expected a person 0.5 to 3 m tall, got 8.7 m"):
        load_scan(scan)
    manifest = tmp_path / "mine.csv"
    manifest.write_text("scan_id,parameters,yaw_deg,unit,scale\n0001,ignore,0,m,2\n")
    (scan,) = find_scans(tmp_path, manifest=manifest)
    assert_stands(load_scan(scan))


def test_thuman_is_y_down_and_coloured_at_its_vertices(tmp_path: Path) -> None:
    item = tmp_path / "results_gyx_20181017_lst_1_F" / "1024"
    write_obj(item / "mesh.obj", points(1.0, Y_DOWN @ ABOUT_Y[90]), colour=" 0.9 0.2 0.1")
    write_obj(item / "smpl.obj", points())
    root = Y_DOWN @ ABOUT_Y[90]
    rows = ["%.6f %.6f %.6f 0.1" % tuple(row) for row in root] + ["0 0 0 1"]
    lines = ["ShapeParams", "0 " * 10, "RootTransformation", *rows, "JointRotations"]
    (item / "smpl_params.txt").write_bytes("\r\n".join(lines + ["0"] * 72).encode())
    scan = loaded(tmp_path)["results_gyx_20181017_lst_1_F__1024"]
    assert_stands(scan)
    assert scan.mesh.vertex_colours is not None
    assert scan.mesh.vertex_colours[0].tolist() == [230, 51, 26]
    assert scan.scan.metadata["categories"] == {"gender": "female"}
    (item / "smpl_params.txt").write_text("ShapeParams\n")
    with pytest.raises(ScanError, match=r"smpl_params\.txt: expected a 4 x 4 matrix"):
        load_scan(scan.scan)


def test_multihuman_gives_single_people_with_their_texture(tmp_path: Path) -> None:
    write_obj(tmp_path / "obj" / "20_0" / "20_0.obj", points(1.05))
    write_obj(tmp_path / "obj_all" / "20" / "20.obj", points())
    write_obj(tmp_path / "smplx" / "20_0" / "smplx.obj", points())
    write_picture(tmp_path / "tex" / "20_0.jpg", 30)
    scans = loaded(tmp_path)
    assert list(scans) == ["20_0"] and red_of(scans["20_0"]) == 30
    assert scans["20_0"].unit_cm == 100.0


def test_2k2k_takes_the_finest_mesh_and_its_own_split(tmp_path: Path) -> None:
    release = tmp_path / "230831"
    write_ply(release / "train" / "1M" / "00003" / "00003.ply", points(100.0))
    write_ply(release / "train" / "50K" / "00003" / "00003.ply", points(1.0))
    write_ply(release / "train" / "50K" / "00011" / "00011.ply", points(3.7))
    write_ply(release / "Test" / "07184" / "07184.ply", points(1000.0))
    write_obj(release / "train" / "1M" / "00003" / "smplx10475_rigid_mesh.obj", points())
    scans = loaded(tmp_path)
    assert {name: scan.scan.split for name, scan in scans.items()} == {
        "00003": "train",
        "00011": "train",
        "07184": "test",
    }
    assert "1M" in scans["00003"].scan.mesh_path.parts
    assert scans["00003"].unit_cm == 1.0
    assert_stands(scans["07184"])
    # As tall as a person in no unit: then 180 cm.
    assert np.ptp(scans["00011"].mesh.vertices[:, 1]) * scans["00011"].unit_cm == pytest.approx(180)
    assert scans["00003"].mesh.vertex_colours is not None


def test_2k2k_parameters_that_do_not_fit_are_noted_and_left(tmp_path: Path) -> None:
    write_ply(tmp_path / "train" / "00003" / "00003.ply", points(100.0))
    plain = {name: value.ravel().tolist() for name, value in parameters(45).items()}
    path = tmp_path / "smplx" / "00003.json"
    path.parent.mkdir()
    path.write_text(json.dumps(plain | {"transl": [9.0, 0.0, 0.0]}))
    scan = loaded(tmp_path)["00003"]
    assert scan.joints is None
    assert scan.notes[-1].startswith("body parameters are not used: ")
    assert scan.doubts == ("body parameters are not used",)
    path.write_text("{}")
    assert "found none" in load_scan(scan.scan).notes[0]


def test_buff_is_in_millimetres_with_or_without_a_sequences_folder(tmp_path: Path) -> None:
    write_ply(
        tmp_path / "sequences" / "00032" / "shortlong_hips" / "shortlong_hips.000010.ply",
        points(1000.0),
    )
    write_ply(tmp_path / "03223" / "shortshort_hips" / "shortshort_hips.000012.ply", points(1000.0))
    write_ply(tmp_path / "minimal_body_shape" / "00032" / "00032_minimal.ply", points())
    scans = loaded(tmp_path)
    assert list(scans) == ["00032__shortlong_hips__000010", "03223__shortshort_hips__000012"]
    for scan in scans.values():
        assert_stands(scan)
    hips = scans["00032__shortlong_hips__000010"]
    assert hips.scan.subject == "00032" and hips.doubts == (FACING_UNKNOWN,)


def test_buff_faces_as_the_parameters_of_cape_say_where_they_are_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "00032" / "shortlong_hips" / "shortlong_hips.000010.ply"
    write_ply(path, points(1000.0, ABOUT_Y[90]))
    np.savez(path.with_suffix(".npz"), pose=np.array([0.0, np.pi / 2, *([0.0] * 70)]))
    (scan,) = loaded(tmp_path, "buff").values()
    assert_stands(scan)


def smpl_vertices(axes: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """6890 vertices, the first of which are the small person's; the others are unused."""
    small = points(unit, axes)
    return np.concatenate([small, np.zeros((6890 - len(small), 3))])


def test_cape_frames_are_registrations_or_raw_scans_and_face_as_their_pose(
    tmp_path: Path,
) -> None:
    sequence = tmp_path / "sequences" / "00127" / "shortlong_hips"
    sequence.mkdir(parents=True)
    (tmp_path / "misc").mkdir()
    np.save(tmp_path / "misc" / "smpl_tris.npy", body(4)[2].astype(np.uint32))
    pose = np.zeros(72)
    pose[1] = np.pi / 2
    for frame in ("000002", "000003"):
        np.savez(
            sequence / f"shortlong_hips.{frame}.npz",
            v_posed=smpl_vertices(ABOUT_Y[90]),
            pose=pose,
            transl=np.zeros(3),
        )
    raw = tmp_path / "raw_scans" / "00127" / "shortlong_hips" / "shortlong_hips.000003.ply"
    write_ply(raw, points(1000.0, ABOUT_Y[90]))
    (sequence / "shortlong_hips.000004.npz").write_bytes(b"damaged")
    scans = found(tmp_path)
    first, second = (load_scan(scans[f"00127__shortlong_hips__{n}"]) for n in ("000002", "000003"))
    assert second.scan.mesh_path == raw and second.unit_cm == 0.1
    assert_stands(first)
    assert_stands(second)
    with pytest.raises(ScanError, match=r"shortlong_hips\.000004\.npz"):
        load_scan(scans["00127__shortlong_hips__000004"])
    (tmp_path / "misc" / "smpl_tris.npy").unlink()
    with pytest.raises(ScanError, match=r"expected misc/smpl_tris\.npy, which has its faces"):
        load_scan(first.scan)


def test_dfaust_frames_come_from_hdf5_or_as_scans(tmp_path: Path) -> None:
    frames = np.stack([smpl_vertices(ABOUT_Y[0]), smpl_vertices(ABOUT_Y[0]) * 1.1], axis=2)
    with h5py.File(tmp_path / "registrations_f.hdf5", "w") as file:
        file["50004_running_on_spot_bugfix"] = frames
        file["faces"] = body(4)[2]
    write_ply(tmp_path / "50002" / "hips" / "hips.000001.ply", points())
    scans = loaded(tmp_path)
    assert list(scans) == [
        "50002__hips__000001",
        "50004__running_on_spot_bugfix__000000",
        "50004__running_on_spot_bugfix__000001",
    ]
    first, second = (scans[f"50004__running_on_spot_bugfix__00000{n}"] for n in (0, 1))
    assert_stands(first)
    assert second.mesh.vertices[:, 1].max() == pytest.approx(1.73 * 1.1)
    assert first.scan.metadata["categories"] == {"gender": "female"}
    (tmp_path / "registrations_m.hdf5").write_bytes(b"cut short")
    with pytest.raises(ScanError, match=r"registrations_m\.hdf5: expected an HDF5 file"):
        find_scans(tmp_path)


def test_humbi_takes_up_from_its_cameras_and_scale_and_facing_from_its_bodies(
    tmp_path: Path,
) -> None:
    tilt = Rotation.from_euler("x", 20, degrees=True).as_matrix()  # the rig is no axis of the file
    axes = tilt @ Y_DOWN @ ABOUT_Y[90]
    rig = tmp_path / "Body_1_80" / "subject_3" / "body"
    frame = rig / "00000001"
    (frame / "reconstruction").mkdir(parents=True)
    np.savetxt(frame / "reconstruction" / "smpl_vertex.txt", smpl_vertices(axes, 2.5))
    pose = Rotation.from_matrix(axes).as_rotvec()
    values = [2.5, 0, 0, 0, *pose, *([0.0] * 79)]
    (frame / "reconstruction" / "smpl_parameter.txt").write_text("\n".join(map(str, values)))
    blocks = ["Camera Extrinsics", "NumCameras: 4", "NumP: 4"]
    for number in range(4):
        ring = Rotation.from_euler("YX", [90 * number, 15], degrees=True).as_matrix()
        rows = ring.T @ tilt.T
        blocks += [f"0 {number}", "0 0 0", *("%.8f %.8f %.8f" % tuple(row) for row in rows)]
    (rig / "extrinsic.txt").write_text("\n".join(blocks) + "\n")
    write_picture(frame / "appearance" / "median_map.png", 50)
    write_obj(tmp_path / "model" / "text_uv_coor_smpl.obj", points(), "mtllib gone.mtl\nusemtl a")
    scan = loaded(tmp_path)["subject_3__00000001"]
    assert scan.unit_cm == pytest.approx(40.0) and red_of(scan) == 50
    assert_stands(scan, tolerance_cm=0.5)


def test_humman_is_in_the_first_cameras_frame_with_several_pictures(tmp_path: Path) -> None:
    sequence = tmp_path / "p000465_a000701"
    head = "mtllib 000006.mtl\nusemtl one"
    axes = Y_DOWN @ ABOUT_Y[180]
    path = write_obj(sequence / "textured_meshes" / "000006.obj", points(1.0, axes), head)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-9], "usemtl two", *lines[-9:]]) + "\n")
    for name, red in (("0", 30), ("1", 60)):
        write_picture(path.with_name(f"000006_{name}.png"), red)
    path.with_suffix(".mtl").write_text(
        "newmtl one\nmap_Kd 000006_0.png\nnewmtl two\nmap_Kd 000006_1.png\n"
    )
    (sequence / "smpl_params").mkdir()
    np.savez(
        sequence / "smpl_params" / "000006.npz",
        global_orient=Rotation.from_matrix(axes).as_rotvec(),
    )
    scan = loaded(tmp_path)["p000465_a000701__000006"]
    assert_stands(scan)
    assert len(scan.mesh.materials) == 2 and scan.scan.subject == "p000465"


def test_axyz_and_twindom_are_asked_for_and_take_the_only_picture(tmp_path: Path) -> None:
    write_obj(tmp_path / "Anna Walking" / "mesh.OBJ", points(100.0), "mtllib a.mtl\nusemtl a")
    write_picture(tmp_path / "Anna Walking" / "C Anna.jpg", 90)
    (scan,) = loaded(tmp_path, "axyz").values()
    assert scan.unit_cm == 1.0 and red_of(scan) == 90 and scan.scan.scan_id == "Anna_Walking"
    write_ply(tmp_path / "b" / "scan.ply", points(1000.0, Z_UP))
    scans = loaded(tmp_path, "twindom")
    assert_stands(scans["b"])
    assert "up taken for +z, from the extent" in scans["b"].notes
    assert [scan.scan_id for scan in find_scans(tmp_path)] == ["Anna_Walking__mesh", "b__scan"]
